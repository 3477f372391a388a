// What webhooks and streams did with the latest events, and the buttons that send records again.

import { path } from "../api.ts";
import { useAsk } from "../ask.tsx";
import { useConsole } from "../console.ts";
import { Age } from "../facts.tsx";
import { Failure } from "../failure.tsx";
import { RoomLink } from "../links.tsx";
import type { WebhookRecord } from "../model.ts";
import { Name } from "../name.tsx";
import { href } from "../place.ts";
import { usePoll } from "../poll.ts";
import { Table, type Column } from "../table.tsx";
import { Tabs } from "../tabs.tsx";
import { Words } from "../words.tsx";

const LATEST = 100;
const STATES = [
  ["dead", "Dead"],
  ["pending", "Pending"],
  ["delivered", "Delivered"],
] as const;

export function Records({ tab }: { tab: string | null }) {
  const { api, access } = useConsole();
  const ask = useAsk();
  const state = STATES.find(([name]) => name === tab)?.[0] ?? "dead";
  const { data, error, refresh } = usePoll(`records ${state}`, async (signal) => {
    const { records } = await api.get<{ records: WebhookRecord[] }>("/v1/webhooks/records", {
      query: { state, limit: LATEST },
      signal,
    });
    return records;
  });
  return (
    <>
      <h1>Webhooks and streams</h1>
      <p className="hint">The newest {LATEST} records that the outbox still keeps.</p>
      <Tabs
        label="States"
        tabs={STATES.map(([name, label]) => ({
          name,
          label,
          href: href("records", undefined, { tab: name }),
        }))}
        open={state}
      />
      {state === "dead" && access.can("post", "/webhooks/replay") && (
        <div className="actions">
          <button
            type="button"
            className="button"
            data-testid="replay-all"
            disabled={!data?.length}
            onClick={() =>
              ask({
                title: "Send all dead records again?",
                text: "The server tries each dead record again now. Receivers may get events twice.",
                action: "Send again",
                run: async () => {
                  const { records } = await api.send<{ records: number }>("POST", "/v1/webhooks/replay");
                  refresh();
                  return `Records that are due again: ${records}.`;
                },
              })
            }
          >
            Send all again
          </button>
        </div>
      )}
      <Failure error={error} retry={refresh} />
      {!data && !error && <p className="empty">Loading …</p>}
      {data && (
        <Table
          label="Records"
          columns={recordColumns((record) => (
            <ReplayButton record={record} onDone={refresh} />
          ))}
          rows={data}
          id={recordId}
          empty={`There are no ${state} records.`}
        />
      )}
    </>
  );
}

/** An event has a record for each receiver. */
export const recordId = ({ id, sink }: WebhookRecord) => `${sink} ${id}`;

export function recordColumns(
  action: (record: WebhookRecord) => React.ReactNode,
): readonly Column<WebhookRecord>[] {
  return [
    { head: "Event", cell: ({ event }) => <Words>{event}</Words> },
    { head: "Receiver", cell: ({ sink }) => <Name>{sink}</Name> },
    { head: "State", cell: ({ state }) => state },
    { head: "Failures", kind: "number", cell: ({ attempts }) => attempts },
    { head: "Happened", cell: ({ at }) => <Age at={at} /> },
    { head: "Room", cell: ({ room }) => (room === undefined ? "–" : <RoomLink room={room} />) },
    { head: "Error", kind: "text", cell: ({ error }) => error ?? "–" },
    { head: "Actions", kind: "actions", cell: action },
  ];
}

export function ReplayButton({ record, onDone }: { record: WebhookRecord; onDone: () => void }) {
  const { api, access } = useConsole();
  const ask = useAsk();
  if (record.state === "pending" || !access.can("post", "/webhooks/records/{id}/replay")) return null;
  return (
    <button
      type="button"
      className="button"
      data-testid="replay"
      aria-label={`Send ${record.event} again`}
      onClick={() =>
        ask({
          title: `Send ${record.event} again?`,
          text: "The server sends the event to all its receivers again now. They may get it twice.",
          action: "Send again",
          run: async () => {
            const { records } = await api.send<{ records: number }>(
              "POST",
              path`/v1/webhooks/records/${record.id}/replay`,
            );
            onDone();
            return `Records that are due again: ${records}.`;
          },
        })
      }
    >
      Send again
    </button>
  );
}
