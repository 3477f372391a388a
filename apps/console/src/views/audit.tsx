// The audit log: who changed what, the newest first.

import { useConsole } from "../console.ts";
import { Time } from "../facts.tsx";
import { RoomLink, UserLink } from "../links.tsx";
import { Name } from "../name.tsx";
import { go, href } from "../place.ts";
import { SearchForm } from "../search_form.tsx";
import { PagedTable, usePages, type Column } from "../table.tsx";
import { Words } from "../words.tsx";

interface AuditRecord {
  readonly id: number;
  readonly at: number;
  readonly actor: string;
  readonly action: string;
  readonly room?: string;
  readonly userId?: string;
  readonly status: number;
  readonly before?: unknown;
  readonly after?: unknown;
}

const COLUMNS: readonly Column<AuditRecord>[] = [
  { head: "At", cell: ({ at }) => <Time at={at} /> },
  { head: "By", cell: ({ actor }) => <Name>{actor}</Name> },
  { head: "Action", cell: ({ action }) => <Words>{action}</Words> },
  { head: "Room", cell: ({ room }) => (room === undefined ? "–" : <RoomLink room={room} />) },
  { head: "User", cell: ({ userId }) => (userId === undefined ? "–" : <UserLink user={userId} />) },
  { head: "Status", kind: "number", cell: ({ status }) => status },
  { head: "Change", kind: "text", cell: (record) => <Change {...record} /> },
];

function Change({ before, after }: AuditRecord) {
  if (before === undefined && after === undefined) return <>–</>;
  return (
    <details>
      <summary>Show</summary>
      <pre>{[`before: ${json(before)}`, `after: ${json(after)}`].join("\n")}</pre>
    </details>
  );
}

const json = (value: unknown) => (value === undefined ? "nothing" : JSON.stringify(value, null, 2));

export function Audit({ query }: { query: URLSearchParams }) {
  const { api } = useConsole();
  const [actor, action] = [query.get("actor") ?? "", query.get("action") ?? ""];
  const pages = usePages(`audit ${JSON.stringify([actor, action])}`, async (before, signal) => {
    // Records of a page come oldest first.
    const { records, more } = await api.get<{ records: AuditRecord[]; more: boolean }>("/v1/audit", {
      query: { actor, action, before },
      signal,
    });
    const oldest = records[0]?.id;
    return { rows: records.toReversed(), next: more && oldest !== undefined ? String(oldest) : undefined };
  });
  return (
    <>
      <h1>Audit log</h1>
      <SearchForm
        key={JSON.stringify([actor, action])}
        fields={[
          { name: "actor", label: "By (a moderator, or key:NAME)", value: actor },
          { name: "action", label: "Action", value: action },
        ]}
        action="Filter"
        onSubmit={(wanted) => go(href("audit", undefined, wanted))}
      />
      <PagedTable
        label="Audit log"
        columns={COLUMNS}
        pages={pages}
        id={({ id }) => id}
        empty="No record matches."
      />
    </>
  );
}
