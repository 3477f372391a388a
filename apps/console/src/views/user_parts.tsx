// The lists on the page of a user: rooms, blocks, reports and connections.

import { path } from "../api.ts";
import { useConsole } from "../console.ts";
import { Age } from "../facts.tsx";
import { RoomLink, UserLink } from "../links.tsx";
import type { Connection } from "../model.ts";
import { MissingNodes } from "../missing_nodes.tsx";
import { href } from "../place.ts";
import { PagedTable, usePages, type Column } from "../table.tsx";
import { connectionColumns } from "./connections.tsx";
import { reportColumns, type Report } from "./reports.tsx";

interface UserRoom {
  readonly room: string;
  readonly role: string;
  readonly joinedAt: number;
  readonly readSeq: number;
  readonly head: number;
}

const ROOMS: readonly Column<UserRoom>[] = [
  { head: "Room", cell: ({ room }) => <RoomLink room={room} /> },
  { head: "Role", cell: ({ role }) => role },
  { head: "Joined", cell: ({ joinedAt }) => <Age at={joinedAt} /> },
  { head: "Read up to", kind: "number", cell: ({ readSeq, head }) => `${readSeq} of ${head}` },
];

export function UserRooms({ user }: { user: string }) {
  const { api } = useConsole();
  const pages = usePages(`rooms of ${user}`, async (cursor, signal) => {
    const { rooms, next } = await api.get<{ rooms: UserRoom[]; next?: string }>(
      path`/v1/users/${user}/rooms`,
      { query: { cursor }, signal },
    );
    return { rows: rooms, next };
  });
  return (
    <PagedTable
      label={`Rooms of ${user}`}
      columns={ROOMS}
      pages={pages}
      id={({ room }) => room}
      empty="The user is a member of no room."
    />
  );
}

interface Block {
  readonly userId: string;
  readonly at: number;
}

const BLOCKS: readonly Column<Block>[] = [
  { head: "Blocked user", cell: ({ userId }) => <UserLink user={userId} /> },
  { head: "Since", cell: ({ at }) => <Age at={at} /> },
];

export function UserBlocks({ user }: { user: string }) {
  const { api } = useConsole();
  const pages = usePages(`blocks of ${user}`, async (cursor, signal) => {
    const { users, next } = await api.get<{ users: Block[]; next?: string }>(
      path`/v1/users/${user}/blocks`,
      { query: { cursor }, signal },
    );
    return { rows: users, next };
  });
  return (
    <PagedTable
      label={`Users whom ${user} has blocked`}
      columns={BLOCKS}
      pages={pages}
      id={({ userId }) => userId}
      empty="The user has blocked nobody."
    />
  );
}

/** The reports about the messages of a user, then those that the user has made. */
export function UserReports({ user }: { user: string }) {
  return (
    <>
      <h3>About messages of the user</h3>
      <ReportTable user={user} as="user" empty="Nobody has reported a message of the user." />
      <h3>Made by the user</h3>
      <ReportTable user={user} as="reporter" empty="The user has reported no message." />
    </>
  );
}

function ReportTable({ user, as, empty }: { user: string; as: "user" | "reporter"; empty: string }) {
  const { api } = useConsole();
  const pages = usePages(`reports ${as} ${user}`, async (cursor, signal) => {
    const { reports, next } = await api.get<{ reports: Report[]; next?: string }>(
      "/v1/moderation/reports",
      { query: { [as]: user, cursor }, signal },
    );
    return { rows: reports, next };
  });
  const columns: readonly Column<Report>[] = [
    ...reportColumns,
    { head: "State", cell: ({ state }) => <a href={href("reports", undefined, { tab: state })}>{state}</a> },
  ];
  return (
    <PagedTable
      label={as === "user" ? `Reports about ${user}` : `Reports by ${user}`}
      columns={columns}
      pages={pages}
      id={({ id }) => id}
      empty={empty}
    />
  );
}

export function UserConnections({ user }: { user: string }) {
  const { api } = useConsole();
  const pages = usePages(`connections of ${user}`, async (cursor, signal) => {
    const { connections, next, missingNodes } = await api.get<{
      connections: Connection[];
      next?: string;
      missingNodes: string[];
    }>("/v1/connections", { query: { user, cursor }, signal });
    return { rows: connections, next, missingNodes };
  });
  return (
    <>
      <MissingNodes nodes={pages.page?.missingNodes ?? []} />
      <PagedTable
        label={`Connections of ${user}`}
        columns={connectionColumns}
        pages={pages}
        id={({ sessionId }) => sessionId}
        empty="The user is not connected."
      />
    </>
  );
}
