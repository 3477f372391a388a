// The operator's key: its scopes, and the views that it may and may not see.

import { Facts } from "../facts.tsx";
import { useConsole } from "../console.ts";
import { href } from "../place.ts";
import { Table } from "../table.tsx";

/** A view, with the scopes of which it needs one. */
export interface ViewAccess {
  readonly name: string;
  readonly label: string;
  /** For each call that gives it something to show: the scopes that the key lacks. */
  readonly missing: readonly (readonly string[])[];
}

export const isOpen = ({ missing }: ViewAccess) => missing.some((scopes) => scopes.length === 0);

export function KeyView({ views }: { views: readonly ViewAccess[] }) {
  const { access } = useConsole();
  const scopes = access.key?.scopes ?? [];
  return (
    <>
      <h1>Your key</h1>
      <Facts
        facts={[
          ["Name", <bdi>{access.key?.name ?? "–"}</bdi>],
          ["Scopes", scopes.length === 0 ? "none" : scopes.join(", ")],
        ]}
      />
      <h2>Views</h2>
      <Table
        label="Views"
        columns={[
          {
            head: "View",
            cell: (view: ViewAccess) =>
              isOpen(view) ? <a href={href(view.name)}>{view.label}</a> : view.label,
          },
          { head: "Shown", cell: (view) => (isOpen(view) ? "yes" : "no") },
          { head: "Needs", kind: "text", cell: (view) => needs(view) || "–" },
        ]}
        rows={views}
        id={({ name }) => name}
        empty="The server has no view."
      />
    </>
  );
}

/** The scopes of which the key needs one, such as `admin`, or `rooms:read or moderation`. */
export function needs({ missing }: ViewAccess): string {
  if (missing.some((scopes) => scopes.length === 0)) return "";
  return [...new Set(missing.map((scopes) => scopes.join(" and ")))].join(" or ");
}
