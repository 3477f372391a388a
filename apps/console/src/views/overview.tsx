// The overview: unsafe settings, figures of the cluster now, charts of the last hours, and the nodes.

import { useState } from "react";

import { Icon } from "../../../shared/icon.tsx";
import type { Query } from "../api.ts";
import { Chart } from "../chart.tsx";
import { useConsole } from "../console.ts";
import { Failure } from "../failure.tsx";
import { number } from "../format.ts";
import type { Figures, Stats, StatsHistory } from "../model.ts";
import { Name } from "../name.tsx";
import { href } from "../place.ts";
import { INTERVAL, usePoll } from "../poll.ts";
import { useSettings } from "../settings.ts";
import { Table, type Column } from "../table.tsx";

const FIGURES: readonly (readonly [keyof Figures, label: string, unit: string])[] = [
  ["connections", "Connections", ""],
  ["users", "Users online", ""],
  ["rooms", "Rooms in use", ""],
  ["messagesInPerSecond", "Messages in", "/s"],
  ["messagesOutPerSecond", "Messages out", "/s"],
];

export function Overview() {
  const { api } = useConsole();
  const { data, error, refresh } = usePoll<Stats>("stats", (signal) =>
    api.get<Stats>("/v1/stats", { signal }),
  );
  return (
    <>
      <h1>Overview</h1>
      <UnsafeNotice />
      <Failure error={error} retry={refresh} />
      {!data && !error && <p className="empty">Loading …</p>}
      {data && <Now stats={data} />}
      {data && <Hours nodes={data.nodes.map(({ node }) => node)} />}
      {data && (
        <section>
          <h2>Nodes</h2>
          <Table
            label="Nodes"
            columns={NODE_COLUMNS}
            rows={data.nodes}
            id={({ node }) => node}
            empty="No node has reported yet."
          />
        </section>
      )}
    </>
  );
}

/** Names the unsafe settings, if there are any. */
function UnsafeNotice() {
  const { data } = useSettings();
  if (!data || data.warnings.length === 0) return null;
  const keys = data.warnings.map(({ key }) => key).join(", ");
  return (
    <div className="notice" role="status" data-testid="unsafe">
      <Icon name="alert" />
      <p>
        Unsafe settings on <bdi>{data.node}</bdi>: {keys}. <a href={href("settings")}>See why</a>
      </p>
    </div>
  );
}

function Now({ stats }: { stats: Stats }) {
  return (
    <dl className="figures" data-testid="figures">
      {FIGURES.map(([name, label, unit]) => (
        <div key={name} data-figure={name}>
          <dt>{label}</dt>
          <dd>
            {number(stats[name])}
            {unit && <span className="unit">{unit}</span>}
          </dd>
        </div>
      ))}
    </dl>
  );
}

/** Charts of the only node, or of one of several, or of their sum. */
function Hours({ nodes }: { nodes: readonly string[] }) {
  const { access } = useConsole();
  const [chosen, setChosen] = useState("");
  if (!access.can("get", "/stats/history")) return null;
  const several = nodes.length > 1;
  const node = several ? nodes.find((name) => name === chosen) : nodes[0];
  return (
    <section>
      <div className="section-head">
        <h2>The last hours on {node === undefined ? "all nodes" : <bdi>{node}</bdi>}</h2>
        {several && (
          <label className="inline">
            Node
            <select
              className="field"
              data-testid="chart-node"
              value={node ?? ""}
              onChange={({ target }) => setChosen(target.value)}
            >
              <option value="">All nodes</option>
              {nodes.toSorted().map((name) => (
                <option key={name} value={name}>
                  {name}
                </option>
              ))}
            </select>
          </label>
        )}
      </div>
      <Charts query={node === undefined ? { all: "true" } : { node }} />
    </section>
  );
}

function Charts({ query }: { query: Query }) {
  const { api } = useConsole();
  const { data, error, refresh } = usePoll<StatsHistory>(
    `history ${JSON.stringify(query)}`,
    (signal) => api.get<StatsHistory>("/v1/stats/history", { query, signal }),
    // A new sample comes after an interval, but the first one of a new server sooner.
    ({ samples, intervalMs }) => (samples.length === 0 ? INTERVAL : intervalMs),
  );
  if (!data) return error ? <Failure error={error} retry={refresh} /> : <p className="empty">Loading …</p>;
  const { samples } = data;
  if (samples.length === 0) return <p className="empty">The first figures come in a few seconds.</p>;
  return (
    <>
      <Failure error={error} retry={refresh} />
      <div className="charts">
        {FIGURES.map(([name, label, unit]) => (
          <Chart
            key={name}
            label={label}
            unit={unit}
            samples={samples.map((sample) => ({ at: sample.at, value: sample[name] }))}
          />
        ))}
      </div>
    </>
  );
}

const NODE_COLUMNS: readonly Column<Stats["nodes"][number]>[] = [
  { head: "Node", cell: ({ node }) => <Name>{node}</Name> },
  ...FIGURES.map(([name, head, unit]): Column<Stats["nodes"][number]> => ({
    head,
    kind: "number",
    cell: (row) => `${number(row[name])}${unit}`,
  })),
];
