// Bans and mutes, in one room and in all: the lists, and the buttons that impose and lift one.

import { path, type Api } from "../api.ts";
import { useAsk, type Answers } from "../ask.tsx";
import { useConsole } from "../console.ts";
import { Age, Time } from "../facts.tsx";
import { dateTime } from "../format.ts";
import { RoomLink, UserLink } from "../links.tsx";
import type { Sanction, SanctionKind } from "../model.ts";
import { href } from "../place.ts";
import { PagedTable, Table, usePages, type Column } from "../table.tsx";
import { Tabs } from "../tabs.tsx";

const DONE = { ban: "banned", mute: "muted" } as const;
const VERBS = { ban: "Ban", mute: "Mute" } as const;

/** Where a sanction holds: without a room, in all. */
interface Target {
  readonly kind: SanctionKind;
  readonly user: string;
  readonly room?: string | undefined;
}

const scope = (room: string | undefined) => (room === undefined ? "in all rooms" : `in ${room}`);

function address({ kind, user, room }: Target): string {
  if (room === undefined) return kind === "ban" ? path`/v1/users/${user}/ban` : path`/v1/users/${user}/mute`;
  return kind === "ban" ? path`/v1/rooms/${room}/bans/${user}` : path`/v1/rooms/${room}/mutes/${user}`;
}

const ROUTES = {
  ban: { user: "/users/{user}/ban", room: "/rooms/{room}/bans/{user}" },
  mute: { user: "/users/{user}/mute", room: "/rooms/{room}/mutes/{user}" },
} as const;

function routeOf(kind: SanctionKind, room: string | undefined): string {
  return ROUTES[kind][room === undefined ? "user" : "room"];
}

const EFFECTS = {
  ban: {
    user: "Their memberships end and their connections close. They cannot connect during the ban.",
    room: "Their membership of this room ends, and they cannot join it again while the ban lasts.",
  },
  mute: {
    user: "They cannot send, edit or react in any room while the mute lasts. They can still read.",
    room: "They cannot send, edit or react in this room while the mute lasts. They can still read.",
  },
} as const;

async function impose(api: Api, target: Target, answers: Answers): Promise<string> {
  await api.send("PUT", address(target), answers);
  const end = answers.until === undefined ? "" : ` until ${dateTime(answers.until)}`;
  return `${target.user} is ${DONE[target.kind]} ${scope(target.room)}${end}.`;
}

export function SanctionButton({ onDone, ...target }: Target & { onDone: () => void }) {
  const { api, access } = useConsole();
  const ask = useAsk();
  const { kind, user, room } = target;
  if (!access.can("put", routeOf(kind, room))) return null;
  return (
    <button
      type="button"
      className="button danger"
      data-testid={kind}
      aria-label={`${VERBS[kind]} ${user}`}
      onClick={() =>
        ask({
          title: `${VERBS[kind]} ${user} ${scope(room)}?`,
          text: EFFECTS[kind][room === undefined ? "user" : "room"],
          action: VERBS[kind],
          fields: "end and reason",
          run: async (answers) => {
            const outcome = await impose(api, target, answers);
            onDone();
            return outcome;
          },
        })
      }
    >
      {VERBS[kind]}
    </button>
  );
}

function LiftButton({ onDone, ...target }: Target & { onDone: () => void }) {
  const { api, access } = useConsole();
  const ask = useAsk();
  const { kind, user, room } = target;
  if (!access.can("delete", routeOf(kind, room))) return null;
  return (
    <button
      type="button"
      className="button"
      data-testid="lift"
      aria-label={`Lift the ${kind} of ${user}`}
      onClick={() =>
        ask({
          title: `Lift the ${kind} of ${user} ${scope(room)}?`,
          text:
            kind === "ban"
              ? "They can connect and join again at once. Memberships that the ban ended do not come back."
              : "They can send, edit and react again at once.",
          action: "Lift",
          run: async () => {
            await api.send("DELETE", address(target));
            onDone();
            return `${user} is no longer ${DONE[kind]} ${scope(room)}.`;
          },
        })
      }
    >
      Lift
    </button>
  );
}

function sanctionColumns(onDone: () => void): readonly Column<Sanction>[] {
  return [
    { head: "Since", cell: ({ at }) => <Age at={at} /> },
    { head: "Ends", cell: ({ until }) => <Time at={until} none="never" /> },
    { head: "Reason", kind: "text", cell: ({ reason }) => <bdi>{reason ?? "–"}</bdi> },
    { head: "By", cell: ({ actor }) => <bdi>{actor}</bdi> },
    {
      head: "Actions",
      kind: "actions",
      cell: ({ userId, kind, room }) => (
        <LiftButton kind={kind} user={userId} room={room ?? undefined} onDone={onDone} />
      ),
    },
  ];
}

/** The bans and mutes of one user, in all rooms and in single ones. */
export function UserSanctions({
  user,
  sanctions,
  onDone,
}: {
  user: string;
  sanctions: readonly Sanction[];
  onDone: () => void;
}) {
  return (
    <Table
      label={`Bans and mutes of ${user}`}
      columns={[
        { head: "Kind", cell: ({ kind }) => kind },
        { head: "Room", cell: ({ room }) => (room == null ? "all rooms" : <RoomLink room={room} />) },
        ...sanctionColumns(onDone),
      ]}
      rows={sanctions}
      id={({ kind, room }) => (room == null ? kind : `${kind} ${room}`)}
      empty="The user is neither banned nor muted."
    />
  );
}

/** The bans or mutes of one room, or without a room those that hold in all. */
export function SanctionTable({ kind, room }: { kind: SanctionKind; room?: string }) {
  const { api } = useConsole();
  const list =
    room === undefined
      ? `/v1/${kind}s`
      : kind === "ban"
        ? path`/v1/rooms/${room}/bans`
        : path`/v1/rooms/${room}/mutes`;
  const pages = usePages(list, async (cursor, signal) => {
    const { sanctions, next } = await api.get<{ sanctions: Sanction[]; next?: string }>(list, {
      query: { cursor },
      signal,
    });
    return { rows: sanctions, next };
  });
  const columns: readonly Column<Sanction>[] = [
    { head: "User", cell: ({ userId }) => <UserLink user={userId} /> },
    ...sanctionColumns(pages.refresh),
  ];
  return (
    <PagedTable
      label={kind === "ban" ? `Bans ${scope(room)}` : `Mutes ${scope(room)}`}
      columns={columns}
      pages={pages}
      id={({ userId }) => userId}
      empty={`Nobody is ${DONE[kind]} ${scope(room)}.`}
    />
  );
}

/** The bans and mutes that hold in all rooms. */
export function Sanctions({ tab }: { tab: string | null }) {
  const kind: SanctionKind = tab === "mutes" ? "mute" : "ban";
  return (
    <>
      <h1>Bans and mutes</h1>
      <p className="hint">These hold in all rooms. Those of a single room are on the page of the room.</p>
      <Tabs
        label="Kinds"
        tabs={[
          { name: "ban", label: "Bans", href: href("sanctions", undefined, { tab: "bans" }) },
          { name: "mute", label: "Mutes", href: href("sanctions", undefined, { tab: "mutes" }) },
        ]}
        open={kind}
      />
      <SanctionTable kind={kind} />
    </>
  );
}
