// Messages that users reported, and the decisions about them.

import { path } from "../api.ts";
import { useAsk, type Answers } from "../ask.tsx";
import { useConsole } from "../console.ts";
import { Age } from "../facts.tsx";
import { RoomLink, UserLink } from "../links.tsx";
import { Name } from "../name.tsx";
import { href } from "../place.ts";
import { PagedTable, usePages, type Column } from "../table.tsx";
import { Tabs } from "../tabs.tsx";

export interface Report {
  readonly id: number;
  readonly room: string;
  readonly seq: number;
  /** The author of the message. */
  readonly userId: string;
  readonly reporter: string;
  readonly reason: string;
  readonly text?: string;
  /** The message as it was when it was reported. */
  readonly message: { readonly text?: string };
  readonly at: number;
  readonly state: string;
  readonly resolvedBy?: string;
}

const STATES = [
  ["open", "Open"],
  ["dismissed", "Dismissed"],
  ["deleted", "Deleted"],
  ["muted", "Muted"],
  ["banned", "Banned"],
] as const;

const DECISIONS = {
  dismiss: { label: "Dismiss", done: "dismissed", effect: "The message stays, and the report is closed." },
  delete: { label: "Delete", done: "deleted", effect: "The message is deleted for everybody in the room." },
  mute: {
    label: "Mute",
    done: "muted",
    effect: "The author can no longer send, edit or react in the room.",
  },
  ban: { label: "Ban", done: "banned", effect: "The author leaves the room and can no longer join it." },
} as const;
type Decision = keyof typeof DECISIONS;

/** What each list of reports shows. */
export const reportColumns: readonly Column<Report>[] = [
  { head: "Message", kind: "text", cell: ({ message }) => <bdi>{message.text ?? "–"}</bdi> },
  { head: "Author", cell: ({ userId }) => <UserLink user={userId} /> },
  { head: "Room", cell: ({ room }) => <RoomLink room={room} /> },
  {
    head: "Reason",
    kind: "text",
    cell: ({ reason, text }) => <bdi>{text === undefined ? reason : `${reason}: ${text}`}</bdi>,
  },
  { head: "Reported by", cell: ({ reporter }) => <UserLink user={reporter} /> },
  { head: "Reported", cell: ({ at }) => <Age at={at} /> },
];

export function Reports({ tab }: { tab: string | null }) {
  const { api, access } = useConsole();
  const state = STATES.find(([name]) => name === tab)?.[0] ?? "open";
  const pages = usePages(`reports ${state}`, async (cursor, signal) => {
    const { reports, next } = await api.get<{ reports: Report[]; next?: string }>(
      "/v1/moderation/reports",
      {
        query: { state, cursor },
        signal,
      },
    );
    return { rows: reports, next };
  });
  const decides = state === "open" && access.can("post", "/moderation/reports/{id}");
  const columns: readonly Column<Report>[] = [
    ...reportColumns,
    decides
      ? {
          head: "Actions",
          kind: "actions",
          cell: (report) => <Decisions report={report} onDone={pages.refresh} />,
        }
      : { head: "Decided by", cell: ({ resolvedBy }) => <Name>{resolvedBy ?? "–"}</Name> },
  ];
  return (
    <>
      <h1>Reports</h1>
      <Tabs
        label="States"
        tabs={STATES.map(([name, label]) => ({
          name,
          label,
          href: href("reports", undefined, { tab: name }),
        }))}
        open={state}
      />
      <PagedTable
        label="Reports"
        columns={columns}
        pages={pages}
        id={({ id }) => id}
        empty={`There are no ${state} reports.`}
      />
    </>
  );
}

function Decisions({ report, onDone }: { report: Report; onDone: () => void }) {
  const { api } = useConsole();
  const ask = useAsk();
  const decide = async (action: Decision, { until }: Answers) => {
    await api.send("POST", path`/v1/moderation/reports/${report.id}`, {
      action,
      ...(until !== undefined && { until }),
    });
    onDone();
    return `The report about ${report.userId} is closed: ${DECISIONS[action].done}.`;
  };
  return (Object.keys(DECISIONS) as Decision[]).map((action) => (
    <button
      key={action}
      type="button"
      className={action === "dismiss" ? "button" : "button danger"}
      data-testid={`report-${action}`}
      aria-label={`${DECISIONS[action].label}: report about ${report.userId}`}
      onClick={() =>
        ask({
          title: `${DECISIONS[action].label}: message of ${report.userId} in ${report.room}`,
          text: DECISIONS[action].effect,
          action: DECISIONS[action].label,
          ...((action === "mute" || action === "ban") && { fields: "end" }),
          run: (answers) => decide(action, answers),
        })
      }
    >
      {DECISIONS[action].label}
    </button>
  ));
}
