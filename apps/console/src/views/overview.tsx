// The overview: figures of the cluster now, charts of the last hours, and the nodes.

import { useRef } from "react";

import { Chart } from "../chart.tsx";
import { useConsole } from "../console.ts";
import { Failure } from "../failure.tsx";
import { number } from "../format.ts";
import type { Figures, Stats, StatsHistory } from "../model.ts";
import { usePoll } from "../poll.ts";
import { Table, type Column } from "../table.tsx";

const FIGURES: readonly (readonly [keyof Figures, label: string, unit: string])[] = [
  ["connections", "Connections", ""],
  ["users", "Users online", ""],
  ["rooms", "Rooms in use", ""],
  ["messagesInPerSecond", "Messages in", "/s"],
  ["messagesOutPerSecond", "Messages out", "/s"],
];

interface Seen {
  readonly stats: Stats;
  readonly history: StatsHistory | undefined;
}

export function Overview() {
  const { data, error, refresh } = useFigures();
  return (
    <>
      <h1>Overview</h1>
      <Failure error={error} retry={refresh} />
      {!data && !error && <p className="empty">Loading …</p>}
      {data && <Now stats={data.stats} />}
      {data?.history && <Hours history={data.history} node={data.stats.nodes[0]?.node ?? "this node"} />}
      {data && (
        <section>
          <h2>Nodes</h2>
          <Table
            label="Nodes"
            columns={NODE_COLUMNS}
            rows={data.stats.nodes}
            id={({ node }) => node}
            empty="No node has reported yet."
          />
        </section>
      )}
    </>
  );
}

/** Polls the figures, and the history as often as it gets a new sample. */
function useFigures() {
  const { api, access } = useConsole();
  const latest = useRef<{ history: StatsHistory; readAt: number }>(undefined);
  const hasHistory = access.can("get", "/stats/history");
  return usePoll<Seen>("overview", async (signal) => {
    const stats = await api.get<Stats>("/v1/stats", { signal });
    const known = latest.current;
    const due = !known || Date.now() - known.readAt >= known.history.intervalMs;
    if (hasHistory && due) {
      const history = await api.get<StatsHistory>("/v1/stats/history", { signal });
      latest.current = { history, readAt: Date.now() };
    }
    return { stats, history: latest.current?.history };
  });
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

function Hours({ history: { samples }, node }: { history: StatsHistory; node: string }) {
  if (samples.length === 0) return null;
  return (
    <section>
      <h2>
        The last hours on <bdi>{node}</bdi>
      </h2>
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
    </section>
  );
}

const NODE_COLUMNS: readonly Column<Stats["nodes"][number]>[] = [
  { head: "Node", cell: ({ node }) => <bdi>{node}</bdi> },
  ...FIGURES.map(([name, head, unit]): Column<Stats["nodes"][number]> => ({
    head,
    kind: "number",
    cell: (row) => `${number(row[name])}${unit}`,
  })),
];
