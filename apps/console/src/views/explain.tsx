// Why a user did or did not get a message: findings in plain words, with their evidence.

import { useConsole } from "../console.ts";
import { Age, Facts, Time } from "../facts.tsx";
import { Failure } from "../failure.tsx";
import { RoomLink, UserLink } from "../links.tsx";
import { MissingNodes } from "../missing_nodes.tsx";
import type { Explanation } from "../model.ts";
import { Name } from "../name.tsx";
import { go, href } from "../place.ts";
import { usePoll } from "../poll.ts";
import { SearchForm } from "../search_form.tsx";
import { Table, type Column } from "../table.tsx";
import { ReplayButton, recordColumns, recordId } from "./records.tsx";

export function Explain({ query }: { query: URLSearchParams }) {
  const [user, room, seq] = ["user", "room", "seq"].map((name) => query.get(name) ?? "");
  return (
    <>
      <h1>Explain a delivery</h1>
      <p className="hint">
        Shows what the server knows about one message and one user: whether it reached them.
      </p>
      <SearchForm
        key={JSON.stringify([user, room, seq])}
        fields={[
          { name: "user", label: "User", value: user, required: true },
          { name: "room", label: "Room", value: room, required: true },
          { name: "seq", label: "Seq of the message", value: seq, required: true, numeric: true },
        ]}
        action="Explain"
        onSubmit={(wanted) => go(href("explain", undefined, wanted))}
      />
      {user && room && seq && <Answer user={user} room={room} seq={seq} />}
    </>
  );
}

const YES_NO = (value: boolean) => (value ? "yes" : "no");

function Answer({ user, room, seq }: { user: string; room: string; seq: string }) {
  const { api } = useConsole();
  const { data, error, refresh } = usePoll(`explain ${JSON.stringify([user, room, seq])}`, (signal) =>
    api.get<Explanation>("/v1/explain", { query: { user, room, seq }, signal }),
  );
  if (!data) return error ? <Failure error={error} retry={refresh} /> : <p className="empty">Loading …</p>;
  const { message, member } = data;
  return (
    <>
      <Failure error={error} retry={refresh} />
      <section className="card">
        <h2>Findings</h2>
        <ul className="findings" data-testid="findings">
          {data.findings.map((finding) => (
            <li key={finding}>{finding}</li>
          ))}
        </ul>
      </section>
      <Facts
        facts={[
          ["Room", <RoomLink room={data.room} />],
          ["User", <UserLink user={data.user} />],
          ["Author", <UserLink user={message.author} />],
          ["Committed", <Time at={message.committedAt} />],
          ["Edited", <Time at={message.editedAt} none="no" />],
          ["Deleted", YES_NO(message.deleted)],
          ["Member", member ? member.role : "no"],
          ["Read up to", member?.readSeq ?? "–"],
          ["Delivered", YES_NO(data.delivered)],
          ["Read", YES_NO(data.read)],
          ["Banned", YES_NO(data.banned)],
          ["Muted", YES_NO(data.muted)],
          ["Last seen", <Age at={data.lastSeen} none="never" />],
        ]}
      />
      <section>
        <h2>Connections now</h2>
        <MissingNodes nodes={data.missingNodes} />
        <Table
          label="Connections"
          columns={DEVICES}
          rows={data.devices}
          id={({ sessionId }) => sessionId}
          empty="The user is not connected."
        />
      </section>
      <section>
        <h2>Webhooks and streams</h2>
        <Table
          label="Webhooks and streams"
          columns={recordColumns((record) => (
            <ReplayButton record={record} onDone={refresh} />
          ))}
          rows={data.webhooks}
          id={recordId}
          empty="The outbox keeps no record of this message."
        />
      </section>
    </>
  );
}

const DEVICES: readonly Column<Explanation["devices"][number]>[] = [
  { head: "Session", cell: ({ sessionId }) => <code>{sessionId}</code> },
  { head: "Device", cell: ({ device }) => <Name>{device || "–"}</Name> },
  { head: "Node", cell: ({ node }) => <Name>{node}</Name> },
  { head: "Connected", cell: ({ connectedAt }) => <Time at={connectedAt} /> },
  { head: "Open at the message", cell: ({ connectedThen }) => YES_NO(connectedThen) },
];
