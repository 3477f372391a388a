// One room: its settings and actions, its members, its last messages, its bans and mutes.

import { useAsk } from "../ask.tsx";
import { path } from "../api.ts";
import { useConsole } from "../console.ts";
import { Age, Facts, Time } from "../facts.tsx";
import { Failure } from "../failure.tsx";
import { number } from "../format.ts";
import { UserLink } from "../links.tsx";
import { Locked } from "../locked.tsx";
import type { Member, Message, RoomDetails } from "../model.ts";
import { href } from "../place.ts";
import { usePoll } from "../poll.ts";
import { PagedTable, Table, usePages, type Column } from "../table.tsx";
import { Tabs } from "../tabs.tsx";
import { Unknown } from "../unknown.tsx";
import { LiftButton, SanctionButton } from "./sanction_buttons.tsx";
import { SanctionTable } from "./sanctions.tsx";

const LATEST = 50;
const SLOW_MODES = [0, 5, 10, 30, 60, 300, 900, 3600];

const PARTS = [
  { name: "members", label: "Members", route: "/rooms/{room}/members" },
  { name: "messages", label: "Messages", route: "/rooms/{room}/messages" },
  { name: "bans", label: "Bans", route: "/rooms/{room}/bans" },
  { name: "mutes", label: "Mutes", route: "/rooms/{room}/mutes" },
];

export function RoomView({ room, tab }: { room: string; tab: string | null }) {
  const { access } = useConsole();
  return (
    <>
      <p className="trail">
        <a href={href("rooms")}>Rooms</a>
      </p>
      <h1>
        <bdi>{room}</bdi>
      </h1>
      {access.can("get", "/rooms/{room}") ? (
        <Details room={room} tab={tab} />
      ) : (
        <>
          <Locked what="The settings of the room" route="/rooms/{room}" />
          <Parts room={room} tab={tab} />
        </>
      )}
    </>
  );
}

/** The settings and the parts of a room that the server knows. */
function Details({ room, tab }: { room: string; tab: string | null }) {
  const { api } = useConsole();
  const { data, error, refresh } = usePoll(`room ${room}`, (signal) =>
    api.get<RoomDetails>(path`/v1/rooms/${room}`, { signal }),
  );
  if (error?.status === 404) return <Unknown what="room with the name" name={room} />;
  if (!data && !error) return <p className="empty">Loading …</p>;
  return (
    <>
      <Failure error={error} retry={refresh} />
      {data && <Settings details={data} refresh={refresh} />}
      <Parts room={room} tab={tab} />
    </>
  );
}

function Parts({ room, tab }: { room: string; tab: string | null }) {
  const { access } = useConsole();
  const tabs = PARTS.filter(({ route }) => access.can("get", route));
  const open = tabs.find(({ name }) => name === tab)?.name ?? tabs[0]?.name;
  return (
    <>
      <Tabs
        label="Parts of the room"
        tabs={tabs.map(({ name, label }) => ({ name, label, href: href("rooms", room, { tab: name }) }))}
        open={open}
      />
      {open === "members" && <Members room={room} />}
      {open === "messages" && <Messages room={room} />}
      {open === "bans" && <SanctionTable kind="ban" room={room} />}
      {open === "mutes" && <SanctionTable kind="mute" room={room} />}
      {PARTS.map(({ name, label, route }) => (
        <Locked key={name} what={label} route={route} />
      ))}
    </>
  );
}

function Settings({ details, refresh }: { details: RoomDetails; refresh: () => void }) {
  const { api, access } = useConsole();
  const ask = useAsk();
  const { room, frozen, slowMode } = details;
  const change = async (to: { frozen?: boolean; slowMode?: number }) => {
    await api.send("PUT", path`/v1/rooms/${room}`, to);
    refresh();
  };
  return (
    <>
      <Facts
        facts={[
          ["Kind", details.kind],
          ["Members", `${number(details.members)}, ${number(details.online)} online`],
          ["Entries", details.head === 0 ? "none" : `${details.first} to ${details.head}`],
          ["Retention", details.history ? `${number(details.history)} messages` : "as the settings say"],
          ["State", <span data-testid="room-state">{frozen ? "frozen" : "open"}</span>],
          ["Slow mode", slowMode === 0 ? "off" : `${slowMode} s between messages`],
          ["Created", <Time at={details.createdAt} />],
          ["Epoch", <code>{details.epoch}</code>],
        ]}
      />
      {access.can("put", "/rooms/{room}") && (
        <div className="actions">
          <button
            type="button"
            className="button"
            data-testid="freeze"
            onClick={() =>
              ask({
                title: frozen ? `Unfreeze ${room}?` : `Freeze ${room}?`,
                text: frozen
                  ? "All members can send, edit and react again."
                  : "Only moderators and owners can send, edit and react until you unfreeze the room.",
                action: frozen ? "Unfreeze" : "Freeze",
                run: async () => {
                  await change({ frozen: !frozen });
                  return `${room} is ${frozen ? "open again" : "frozen"}.`;
                },
              })
            }
          >
            {frozen ? "Unfreeze" : "Freeze"}
          </button>
          <label className="inline">
            Slow mode
            <select
              className="field"
              data-testid="slow-mode"
              value={slowMode}
              onChange={({ target }) => {
                const seconds = Number(target.value);
                ask({
                  title: `Change the slow mode of ${room}?`,
                  text:
                    seconds === 0
                      ? "Members no longer wait between two messages."
                      : `Each member waits ${seconds} s between two messages.`,
                  action: "Change",
                  run: async () => {
                    await change({ slowMode: seconds });
                    return `The slow mode of ${room} is ${seconds === 0 ? "off" : `${seconds} s`}.`;
                  },
                });
              }}
            >
              {[...new Set([...SLOW_MODES, slowMode])].map((seconds) => (
                <option key={seconds} value={seconds}>
                  {seconds === 0 ? "off" : `${seconds} s`}
                </option>
              ))}
            </select>
          </label>
        </div>
      )}
    </>
  );
}

function Members({ room }: { room: string }) {
  const { api } = useConsole();
  const pages = usePages(`members ${room}`, async (cursor, signal) => {
    const { members, next } = await api.get<{ members: Member[]; next?: string }>(
      path`/v1/rooms/${room}/members`,
      { query: { cursor }, signal },
    );
    return { rows: members, next };
  });
  const columns: readonly Column<Member>[] = [
    { head: "User", cell: ({ userId }) => <UserLink user={userId} /> },
    { head: "Role", cell: ({ role }) => role },
    { head: "Joined", cell: ({ joinedAt }) => <Age at={joinedAt} /> },
    { head: "Read up to", kind: "number", cell: ({ readSeq }) => readSeq },
    {
      head: "Actions",
      kind: "actions",
      cell: ({ userId, muted }) => (
        <>
          {muted ? (
            <LiftButton kind="mute" user={userId} room={room} label="Unmute" onDone={pages.refresh} />
          ) : (
            <SanctionButton kind="mute" user={userId} room={room} onDone={pages.refresh} />
          )}
          <SanctionButton kind="ban" user={userId} room={room} onDone={pages.refresh} />
        </>
      ),
    },
  ];
  return (
    <PagedTable
      label={`Members of ${room}`}
      columns={columns}
      pages={pages}
      id={({ userId }) => userId}
      empty="The room has no members."
    />
  );
}

function Messages({ room }: { room: string }) {
  const { api, access } = useConsole();
  const { data, error, refresh } = usePoll(`messages ${room}`, async (signal) => {
    const { messages } = await api.get<{ messages: Message[] }>(path`/v1/rooms/${room}/messages`, {
      query: { limit: LATEST },
      signal,
    });
    return messages.toReversed();
  });
  const columns: readonly Column<Message>[] = [
    { head: "Seq", kind: "number", cell: ({ seq }) => seq },
    { head: "Author", cell: ({ userId }) => <UserLink user={userId} /> },
    {
      head: "Text",
      kind: "text",
      cell: ({ text, deleted, editedAt }) =>
        deleted ? (
          <span className="faint">deleted</span>
        ) : (
          <>
            <bdi>{text}</bdi>
            {editedAt ? <span className="faint"> (edited)</span> : null}
          </>
        ),
    },
    { head: "Sent", cell: ({ at }) => <Age at={at} /> },
    ...(access.can("get", "/explain")
      ? [
          {
            head: "Actions",
            kind: "actions" as const,
            cell: ({ seq }: Message) => <a href={href("explain", undefined, { room, seq })}>Explain</a>,
          },
        ]
      : []),
  ];
  return (
    <>
      <Failure error={error} retry={refresh} />
      {data && (
        <Table
          label={`Last messages of ${room}`}
          columns={columns}
          rows={data}
          id={({ seq }) => seq}
          empty="The room has no messages."
        />
      )}
    </>
  );
}
