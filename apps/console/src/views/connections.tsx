// The connections of all nodes, by user, room and node, and everything about one of them.

import { useState } from "react";

import { useConsole } from "../console.ts";
import { Age, Facts, Time } from "../facts.tsx";
import { size } from "../format.ts";
import { UserLink } from "../links.tsx";
import { MissingNodes } from "../missing_nodes.tsx";
import type { Connection } from "../model.ts";
import { Name } from "../name.tsx";
import { go, href } from "../place.ts";
import { SearchForm } from "../search_form.tsx";
import { PagedTable, usePages, type Column } from "../table.tsx";

const FILTERS = ["user", "room", "node"] as const;

/** What each list of connections shows. */
export const connectionColumns: readonly Column<Connection>[] = [
  { head: "Device", cell: ({ device }) => <Name>{device || "–"}</Name> },
  { head: "Node", cell: ({ node }) => <Name>{node}</Name> },
  { head: "Address", cell: ({ address }) => <Name>{address ?? "–"}</Name> },
  { head: "Transport", cell: ({ transport }) => transport },
  { head: "Connected", cell: ({ connectedAt }) => <Age at={connectedAt} /> },
  { head: "Rooms", kind: "number", cell: ({ rooms }) => rooms },
  { head: "Waiting", kind: "number", cell: ({ queuedBytes }) => size(queuedBytes) },
];

export function Connections({ query }: { query: URLSearchParams }) {
  const { api } = useConsole();
  const [user = "", room = "", node = ""] = FILTERS.map((name) => query.get(name) ?? "");
  const subject = JSON.stringify([user, room, node]);
  const [chosen, setChosen] = useState<string>();
  const pages = usePages(`connections ${subject}`, async (cursor, signal) => {
    const { connections, next, missingNodes } = await api.get<{
      connections: Connection[];
      next?: string;
      missingNodes: string[];
    }>("/v1/connections", { query: { user, room, node, cursor }, signal });
    return { rows: connections, next, missingNodes };
  });
  const details = pages.page?.rows.find(({ sessionId }) => sessionId === chosen);
  const columns: readonly Column<Connection>[] = [
    { head: "User", cell: ({ userId }) => <UserLink user={userId} /> },
    ...connectionColumns,
    {
      head: "Actions",
      kind: "actions",
      cell: ({ sessionId, userId }) => (
        <button
          type="button"
          className="button"
          data-testid="details"
          aria-expanded={sessionId === chosen}
          aria-label={`Details of a connection of ${userId}`}
          onClick={() => setChosen(sessionId === chosen ? undefined : sessionId)}
        >
          Details
        </button>
      ),
    },
  ];
  return (
    <>
      <h1>Connections</h1>
      <p className="hint">Those of all nodes, by node, the oldest first.</p>
      <SearchForm
        key={subject}
        fields={[
          { name: "user", label: "User", value: user },
          { name: "room", label: "Room", value: room },
          { name: "node", label: "Node", value: node },
        ]}
        action="Filter"
        onSubmit={(wanted) => go(href("connections", undefined, wanted))}
      />
      <MissingNodes nodes={pages.page?.missingNodes ?? []} />
      {details && <Details connection={details} />}
      <PagedTable
        label="Connections"
        columns={columns}
        pages={pages}
        id={({ sessionId }) => sessionId}
        empty="No connection matches."
      />
    </>
  );
}

function Details({ connection }: { connection: Connection }) {
  return (
    <section className="card" data-testid="connection" aria-label="The chosen connection">
      <Facts
        facts={[
          ["Session", <code>{connection.sessionId}</code>],
          ["User", <UserLink user={connection.userId} />],
          ["Name", <bdi>{connection.name ?? "–"}</bdi>],
          ["Device", <bdi>{connection.device || "–"}</bdi>],
          ["Node", <bdi>{connection.node}</bdi>],
          ["Address", connection.address ?? "–"],
          ["Transport", connection.transport],
          ["Connected", <Time at={connection.connectedAt} />],
          ["Token expires", <Time at={connection.expiresAt} />],
          ["Subscribed rooms", connection.rooms],
          ["Waiting to be sent", size(connection.queuedBytes)],
        ]}
      />
    </section>
  );
}
