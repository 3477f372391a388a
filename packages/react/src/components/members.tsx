// The members of a room: those who are online with their status, then the others.

import type { Member } from "@roomful/client";

import { useNames, useRoom } from "../hooks.ts";
import { useTexts } from "../provider.tsx";
import type { Names } from "../text/names.ts";
import { Avatar } from "./avatar.tsx";

/** The members of a room: online ones with their status, then the others. It joins the room. */
export function Members({ room }: { room: string }) {
  const texts = useTexts();
  const [snapshot] = useRoom(room);
  const names = useNames(snapshot);
  const byName = (a: Member, b: Member) => names(a.userId).localeCompare(names(b.userId));
  const sorted = [...snapshot.members].sort(byName);
  // Without a connection, presence is unknown.
  const online = snapshot.joined ? sorted.filter(({ status }) => status !== "offline") : [];
  const others = snapshot.joined ? sorted.filter(({ status }) => status === "offline") : sorted;
  return (
    <div className="rf-members" data-testid="members">
      {snapshot.joined && <h2>{texts.online(online.length)}</h2>}
      <ul data-testid="online-list">
        {online.map((member) => (
          <Person key={member.userId} member={member} names={names} />
        ))}
      </ul>
      {others.length > 0 && (
        <>
          <h2>{snapshot.joined ? texts.offline(others.length) : texts.members}</h2>
          <ul>
            {others.map((member) => (
              <Person
                key={member.userId}
                member={{ ...member, status: "offline", text: null }}
                names={names}
              />
            ))}
          </ul>
        </>
      )}
    </div>
  );
}

function Person({ member, names }: { member: Member; names: Names }) {
  const texts = useTexts();
  const { userId, status, text } = member;
  const name = names(userId);
  const parts = [status === "online" || status === "offline" ? "" : texts.status(status), text ?? ""];
  const line = parts.filter((part) => part !== "").join(" · ");
  return (
    <li
      className="rf-member"
      data-testid={status === "offline" ? "offline-user" : "online-user"}
      data-user={userId}
      data-status={status}
    >
      <Avatar userId={userId} name={name} status={status} />
      <span className="rf-member-text">
        <bdi className="rf-name">{name}</bdi>
        {line !== "" && (
          <span className="rf-member-status" data-testid="person-status" title={line}>
            {line}
          </span>
        )}
      </span>
    </li>
  );
}
