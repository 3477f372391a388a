// The inbox while pages load and live events arrive, and against the real server.

import { afterAll, afterEach, beforeAll, expect, test, vi } from "vitest";

import { startRoomful, type TestRoomful } from "../../testing/src/index.ts";
import { checkContract } from "../src/check.ts";
import { RequestError, type InboxRow, type Message, type Request } from "../src/contract.ts";
import { MemoryStorage } from "../src/index.ts";
import { Inbox } from "../src/inbox.ts";
import { clientFor, closeClients, enter, post, until } from "./server.ts";

let server: TestRoomful;
beforeAll(async () => {
  server = await startRoomful();
});
afterEach(closeClients);
afterAll(() => server?.stop());

const message = (room: string, seq: number): Message => ({
  id: `${room}-${seq}`,
  room,
  seq,
  userId: "bob",
  text: `text ${seq}`,
  at: seq,
});

const row = (room: string, head: number, unread = head): InboxRow => ({
  room,
  epoch: "e1",
  head,
  lastMessage: message(room, head),
  unread,
  mentions: 0,
  readSeq: 0,
});

/** An inbox whose requests wait for the test's answer. */
function slow() {
  const asked: { answer: (page: unknown) => void; fail: (error: Error) => void }[] = [];
  const request = () => new Promise((answer, fail) => asked.push({ answer, fail }));
  const listed = vi.fn();
  const inbox = new Inbox({
    request: request as Request,
    storage: new MemoryStorage(),
    userRestored: Promise.resolve(),
    listed,
  });
  const shown = () => inbox.getSnapshot().rooms.map(({ room, head, unread }) => [room, head, unread]);
  return { inbox, asked, shown, listed };
}

test("a load that takes long does not undo live rows, nor a later load", async () => {
  const { inbox, asked, shown, listed } = slow();
  const first = inbox.load();
  asked[0]!.answer({ rooms: [row("a", 1), row("b", 2), row("c", 3)] });
  await first;
  const second = inbox.load();
  const event = { room: "c", unread: 4, mentions: 0, head: 4, lastMessage: message("c", 4) };
  inbox.unread({ ...event, cause: "message" });
  inbox.counted("a", { readSeq: 1, unread: 0, mentions: 0 });
  inbox.removed("b");
  asked[1]!.answer({ rooms: [row("a", 1), row("b", 2), row("c", 3)] });
  await second;
  expect(shown()).toEqual([
    ["c", 4, 4],
    ["a", 1, 0],
  ]);
  const [stale, newest] = [inbox.load(), inbox.load()];
  asked[3]!.answer({ rooms: [row("d", 9)] });
  await newest;
  asked[2]!.answer({ rooms: [row("a", 1)] });
  await stale;
  expect(shown()).toEqual([["d", 9, 9]]);
  expect([...listed.mock.lastCall![0]]).toEqual(["d"]);
});

test("counts that change during a load do not bring back an older message", async () => {
  const { inbox, asked, shown } = slow();
  const first = inbox.load();
  asked[0]!.answer({ rooms: [row("a", 5)] });
  await first;
  const second = inbox.load();
  inbox.counted("a", { readSeq: 3, unread: 2, mentions: 0 });
  asked[1]!.answer({ rooms: [row("a", 8, 3)] });
  await second;
  expect(shown()).toEqual([["a", 8, 2]]);
  expect(inbox.getSnapshot().rooms[0]?.lastMessage?.text).toBe("text 8");
});

test("a load that the rate limit refuses goes on with the same page", async () => {
  const { inbox, asked, shown } = slow();
  const loading = inbox.load();
  asked[0]!.answer({ rooms: [row("a", 2)], next: "2.1" });
  await vi.waitUntil(() => asked.length === 2);
  const refused = { code: "rate_limited", message: "", retryable: true, retryAfterMs: 1 } as const;
  asked[1]!.fail(new RequestError(refused));
  await vi.waitUntil(() => asked.length === 3);
  asked[2]!.answer({ rooms: [row("b", 1)] });
  await loading;
  expect(shown()).toEqual([
    ["a", 2, 2],
    ["b", 1, 1],
  ]);
  expect(inbox.getSnapshot()).toMatchObject({ loading: false, stale: false });
});

test("a message in a room without a view moves its row up, without another request", async () => {
  for (const name of ["quiet", "loud"]) {
    await server.api("PUT", `rooms/${name}`, { kind: "public" });
    await server.api("PUT", `rooms/${name}/members/carol`, {});
  }
  await post(server, "loud", "one");
  await post(server, "quiet", "two");
  let pages = 0;
  const client = clientFor(server, "carol", {
    check: (kind, event, value) => {
      if (kind === "payload" && event === "chat:inbox") pages += 1;
      return checkContract(kind, event, value);
    },
  });
  client.connect();
  await until(client.inbox, ({ rooms, loading }) => !loading && rooms[0]?.room === "quiet");
  await post(server, "loud", "three");
  const { rooms } = await until(client.inbox, (inbox) => inbox.rooms[0]?.room === "loud");
  expect(rooms[0]).toMatchObject({ unread: 2, head: 2, lastMessage: { text: "three" } });
  await post(server, "quiet", "four");
  await until(client.inbox, (inbox) => inbox.rooms[0]?.room === "quiet");
  expect(pages).toBe(1);
});

test("offline, the rooms of the last time are there, and say that they may be outdated", async () => {
  const storage = new MemoryStorage();
  const first = clientFor(server, "dora", { storage });
  await (await enter(first, "known")).send({ text: "hello" }).sent;
  await until(first.inbox, ({ rooms }) => rooms[0]?.lastMessage?.text === "hello");
  await first.close();
  const second = clientFor(server, "dora", { storage });
  const { rooms, stale } = await until(second.inbox, (inbox) => inbox.rooms.length === 1);
  expect([rooms[0]?.lastMessage?.text, stale]).toEqual(["hello", true]);
  second.connect();
  await until(second.inbox, (inbox) => !inbox.stale && inbox.rooms.length === 1);
});
