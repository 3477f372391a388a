// The members of a room: those who are online with their status, then the others. For moderators, also menus.

import type { KnownSanctions, Member, Role, Room } from "@roomful/client";

import { useNames, useRoom, useUserId } from "../hooks.ts";
import { useTexts } from "../provider.tsx";
import type { Names } from "../text/names.ts";
import { Avatar } from "./avatar.tsx";
import { Icon } from "./icon.tsx";
import { Menu } from "./menu.tsx";
import { RoomControls } from "./room_controls.tsx";
import { moderates, usePersonActions } from "./use_person_actions.tsx";
import { useRun } from "./use_run.ts";

/**
 * The members of a room: online ones with their status, then the others. Moderators can act on each one, and
 * on the room. It joins the room.
 */
export function Members({ room: name }: { room: string }) {
  const texts = useTexts();
  const [snapshot, room] = useRoom(name);
  const me = useUserId();
  const [failure, run] = useRun();
  const names = useNames(snapshot);
  const byName = (a: Member, b: Member) => names(a.userId).localeCompare(names(b.userId));
  const sorted = [...snapshot.members].sort(byName);
  // Without a connection, presence is unknown.
  const online = snapshot.joined ? sorted.filter(({ status }) => status !== "offline") : [];
  const others = snapshot.joined ? sorted.filter(({ status }) => status === "offline") : sorted;
  const shared = { room, names, me, role: snapshot.role, run };
  const person = (member: Member) => {
    const { userId } = member;
    return <Person key={userId} member={member} sanctions={snapshot.sanctions.get(userId)} {...shared} />;
  };
  return (
    <div className="rf-members" data-testid="members">
      {snapshot.joined && moderates(snapshot.role) && (
        <RoomControls room={room} restrictions={snapshot.restrictions} run={run} />
      )}
      {failure !== undefined && (
        <p className="rf-state rf-bad" role="alert">
          <Icon name="alert" /> {texts.actionFailed(failure)}
        </p>
      )}
      {snapshot.joined && <h2>{texts.online(online.length)}</h2>}
      <ul data-testid="online-list">
        {online.map(person)}
      </ul>
      {others.length > 0 && (
        <>
          <h2>{snapshot.joined ? texts.offline(others.length, snapshot.moreMembers) : texts.members}</h2>
          <ul>
            {others.map((member) => person({ ...member, status: "offline", text: null }))}
          </ul>
        </>
      )}
    </div>
  );
}

interface PersonProps {
  readonly member: Member;
  readonly sanctions: KnownSanctions | undefined;
  readonly room: Room;
  readonly names: Names;
  readonly me: string | undefined;
  readonly role: Role | undefined;
  readonly run: (action: Promise<unknown>) => void;
}

function Person({ member, sanctions, room, names, me, role, run }: PersonProps) {
  const texts = useTexts();
  const { userId, avatar, status, text } = member;
  const name = names(userId);
  const theirs = { theirRole: member.role, sanctions };
  const { items, dialog } = usePersonActions({ room, userId, name, me, role, ...theirs, run });
  const parts = [status === "online" || status === "offline" ? "" : texts.status(status), text ?? ""];
  const line = parts.filter((part) => part !== "").join(" · ");
  return (
    <li
      className="rf-member"
      data-testid={status === "offline" ? "offline-user" : "online-user"}
      data-user={userId}
      data-status={status}
    >
      <Avatar userId={userId} name={name} src={avatar} status={status} />
      <span className="rf-member-text">
        <bdi className="rf-name">{name}</bdi>
        {line !== "" && (
          <span className="rf-member-status" data-testid="person-status" title={line}>
            {line}
          </span>
        )}
      </span>
      <Menu label={texts.moreActions(name)} title={name} items={items} />
      {dialog}
    </li>
  );
}
