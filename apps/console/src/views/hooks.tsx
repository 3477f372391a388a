// The hooks of all nodes: circuits, decisions and failures.

import { useConsole } from "../console.ts";
import { Age } from "../facts.tsx";
import { Failure } from "../failure.tsx";
import { number } from "../format.ts";
import { MissingNodes } from "../missing_nodes.tsx";
import { Name } from "../name.tsx";
import { usePoll } from "../poll.ts";
import { Table, type Column } from "../table.tsx";

interface Hook {
  readonly node: string;
  readonly name: string;
  readonly event: string;
  readonly rooms: readonly string[];
  readonly onFailure: "allow" | "refuse";
  readonly circuit: "closed" | "open" | "half_open";
  readonly inFlight: number;
  readonly answers: Readonly<Record<string, number>>;
  readonly failures: Readonly<Record<string, number>>;
  readonly lastError?: { readonly at: number; readonly cause: string; readonly error: string };
}

const STATES = {
  closed: "asked",
  open: "not asked: it failed too often",
  half_open: "one question probes it",
} as const;

const COLUMNS: readonly Column<Hook>[] = [
  { head: "Hook", cell: ({ name }) => <Name>{name}</Name> },
  { head: "Node", cell: ({ node }) => <Name>{node}</Name> },
  {
    head: "Asked about",
    kind: "text",
    cell: ({ event, rooms }) => (
      <>
        <code>{event}</code> {rooms.length === 0 ? "in all rooms" : <bdi>{`in ${rooms.join(", ")}`}</bdi>}
      </>
    ),
  },
  { head: "Endpoint", kind: "phrase", cell: ({ circuit }) => STATES[circuit] },
  { head: "Without an answer", cell: ({ onFailure }) => `${onFailure}s` },
  { head: "Waiting", kind: "number", cell: ({ inFlight }) => number(inFlight) },
  { head: "Answers", kind: "phrase", cell: ({ answers }) => counts(answers) },
  {
    head: "Failures",
    kind: "text",
    cell: ({ failures, lastError }) => (
      <>
        {counts(failures)}
        {lastError && (
          <>
            ; the last one <Age at={lastError.at} />: {lastError.error}
          </>
        )}
      </>
    ),
  },
];

/** The kinds that have happened, with their numbers. */
function counts(kinds: Readonly<Record<string, number>>): string {
  const happened = Object.entries(kinds).filter(([, count]) => count > 0);
  if (happened.length === 0) return "none";
  return happened.map(([kind, count]) => `${number(count)} ${kind.replaceAll("_", " ")}`).join(", ");
}

export function Hooks() {
  const { api } = useConsole();
  const { data, error, refresh } = usePoll("hooks", (signal) =>
    api.get<{ hooks: Hook[]; missingNodes: string[] }>("/v1/hooks", { signal }),
  );
  return (
    <>
      <h1>Hooks</h1>
      <p className="hint">
        Your backend decides about messages, joins and connections. Counts are since the start of each node.
      </p>
      <Failure error={error} retry={refresh} />
      {!data && !error && <p className="empty">Loading …</p>}
      {data && (
        <>
          <MissingNodes nodes={data.missingNodes} />
          <Table
            label="Hooks"
            columns={COLUMNS}
            rows={data.hooks}
            id={({ node, name }) => `${node} ${name}`}
            empty="No hook is configured."
          />
        </>
      )}
    </>
  );
}
