// The client under faults of the server, the connection, the token, the clock and the storage.

import "fake-indexeddb/auto";

import { writeFileSync } from "node:fs";
import { join } from "node:path";

import { afterEach, beforeEach, describe, expect, test, vi } from "vitest";

import { startRoomful, type TestRoomful } from "../../testing/src/index.ts";
import { MemoryStorage, RoomfulClient, type Storage } from "../src/index.ts";
import { Connection } from "../src/connection.ts";
import type { Request } from "../src/contract.ts";
import { openIndexedDb } from "../src/indexeddb.ts";
import { Outbox } from "../src/outbox.ts";
import { Room } from "../src/room.ts";
import { RoomCache } from "../src/room_cache.ts";
import { SafeStorage } from "../src/storage.ts";
import { Tabs } from "../src/tabs.ts";
import { clientFor, closeClients, enter, post, until } from "./server.ts";

const LAWFUL = { ascending: 0, dense: 0, once: 0 };

/** Only a failing test waits that long; a busy machine needs more than the default of a second. */
const PATIENCE = { timeout: 20_000 };

let server: TestRoomful;
beforeEach(async () => {
  server = await startRoomful({
    env: { ROOMFUL__SOCKET__PING_INTERVAL: "1s", ROOMFUL__SOCKET__PING_TIMEOUT: "1s" },
  });
});
afterEach(async () => {
  vi.useRealTimers();
  await closeClients();
  await server.stop();
});

/** All messages of a room, read by another user. */
async function stored(name: string): Promise<string[]> {
  const reader = await enter(clientFor(server, "reader"), name);
  while (reader.getSnapshot().hasOlder) await reader.loadOlder();
  return reader.getSnapshot().messages.map(({ text }) => text);
}

describe("kill -9 of the server", () => {
  test("during sends: each message is stored once, in the order of writing", async () => {
    const client = clientFor(server, "alice");
    const room = await enter(client, "busy");
    const texts = Array.from({ length: 60 }, (_, i) => `text ${i}`);
    const sends = texts.map((text) => room.send({ text }).sent);
    await until(room, ({ messages }) => messages.filter(({ state }) => state === "sent").length >= 10);
    await server.kill();
    await server.start();
    const sent = await Promise.all(sends);
    expect(new Set(sent.map(({ seq }) => seq)).size).toBe(texts.length);
    const { messages } = await until(room, (snapshot) =>
      snapshot.messages.every(({ state }) => state === "sent"),
    );
    expect(messages.map(({ text }) => text)).toEqual(texts);
    expect(await stored("busy")).toEqual(texts);
    expect(client.laws.violations).toEqual(LAWFUL);
  });

  test("while idle: the client is back, with the messages of its absence", async () => {
    const client = clientFor(server, "bob");
    const room = await enter(client, "quiet");
    await room.send({ text: "before" }).sent;
    await server.kill();
    await until(room, (snapshot) => !snapshot.joined && snapshot.stale);
    await server.start();
    for (let i = 0; i < 20; i++) await post(server, "quiet", `missed ${i}`);
    const { messages } = await until(
      room,
      (snapshot) => snapshot.messages.length === 21 && !snapshot.stale,
    );
    expect(messages.at(-1)?.text).toBe("missed 19");
    expect(client.laws.violations).toEqual(LAWFUL);
  });
});

describe("a long absence", () => {
  test("of more than a page ends with every message", async () => {
    const storage = new MemoryStorage();
    const first = clientFor(server, "alice", { storage });
    const before = await enter(first, "long");
    await before.send({ text: "text 0" }).sent;
    await until(before, ({ messages }) => messages[0]?.state === "sent");
    await first.close();
    for (let i = 1; i <= 450; i++) await post(server, "long", `text ${i}`);

    const second = clientFor(server, "alice", { storage });
    const room = await enter(second, "long");
    const { messages } = await until(room, (snapshot) => snapshot.messages.length === 451);
    expect(messages.map(({ seq }) => seq)).toEqual(Array.from({ length: 451 }, (_, i) => i + 1));
    expect(second.laws.violations).toEqual(LAWFUL);
  });

  test("of thousands of messages starts over with the newest page", async () => {
    const storage = new MemoryStorage();
    const first = clientFor(server, "alice", { storage });
    await (await enter(first, "far")).send({ text: "old" }).sent;
    await first.close();
    for (let i = 0; i < 2_300; i += 50)
      await Promise.all(Array.from({ length: 50 }, (_, k) => post(server, "far", `new ${i + k}`)));
    await post(server, "far", "newest");

    const room = await enter(clientFor(server, "alice", { storage }), "far");
    const { messages, hasOlder } = await until(
      room,
      (snapshot) => snapshot.messages.at(-1)?.text === "newest",
    );
    expect(messages.length).toBeLessThanOrEqual(200);
    expect(hasOlder).toBe(true);
  });
});

test("a backlog of 10,000 messages is read back to its beginning", async () => {
  await server.shutDown();
  const room = "huge";
  const lines: object[] = [
    { type: "room", room },
    { type: "member", room, userId: "alice" },
  ];
  for (let n = 1; n <= 10_000; n++)
    lines.push({ type: "message", room, id: `m${n}`, userId: "bob", text: `text ${n}`, at: Date.now() });
  const file = join(server.folder, "huge.ndjson");
  writeFileSync(file, lines.map((line) => JSON.stringify(line)).join("\n"));
  server.command("import", file);
  await server.start();

  const client = clientFor(server, "alice");
  const view = await enter(client, room);
  await view.jumpTo(1);
  const { messages, hasOlder } = view.getSnapshot();
  expect(messages.map(({ seq }) => seq)).toEqual(Array.from({ length: 10_000 }, (_, i) => i + 1));
  expect(hasOlder).toBe(false);
  await view.send({ text: "the newest" }).sent;
  await until(view, (snapshot) => snapshot.messages.at(-1)?.seq === 10_001);
  expect(client.laws.violations).toEqual(LAWFUL);
});

test("on a slow line, messages written at once arrive once and in order", async () => {
  const client = clientFor(server, "alice");
  const room = await enter(client, "slow-line");
  server.faults.delay(300);
  const texts = Array.from({ length: 8 }, (_, n) => `slow ${n}`);
  await Promise.all(texts.map((text) => room.send({ text }).sent));
  await server.faults.heal();
  expect(await stored("slow-line")).toEqual(texts);
  expect(client.laws.violations).toEqual(LAWFUL);
});

test("a restored backup resets the room to the new log", async () => {
  const room = await enter(clientFor(server, "alice"), "restored");
  await room.send({ text: "kept" }).sent;
  await server.shutDown();
  server.command("new-epoch");
  await server.start();
  await post(server, "restored", "after the restore");
  const { messages } = await until(
    room,
    (snapshot) => snapshot.messages.at(-1)?.text === "after the restore",
  );
  expect(messages.map(({ text }) => text)).toEqual(["kept", "after the restore"]);
});

describe("tokens", () => {
  test("are replaced before they expire", async () => {
    let fetched = 0;
    const fresh = async () => {
      fetched += 1;
      return server.token("alice", { ttl: 4 });
    };
    const client = clientFor(server, "alice", { token: fresh });
    const room = await enter(client, "tokens");
    await vi.waitUntil(() => fetched >= 4, PATIENCE);
    expect(client.connection.getSnapshot()).toEqual({ state: "online" });
    await room.send({ text: "still here" }).sent;
  });

  test("that have expired are replaced by a fresh one", async () => {
    let fetched = 0;
    const client = clientFor(server, "alice", {
      token: async () => server.token("alice", ++fetched === 1 ? { issuedAt: new Date(0) } : {}),
    });
    client.connect();
    await until(client.connection, ({ state }) => state === "online");
    expect(fetched).toBe(2);
  });

  test("that expire under way fail no message, and cost neither the cache nor a draft", async () => {
    const storage = new MemoryStorage();
    const client = clientFor(server, "alice", { storage });
    const rooms = await Promise.all(["one", "two", "three"].map((name) => enter(client, name)));
    await rooms[0]!.saveDraft({ text: "half a sent" });
    const sends: Promise<unknown>[] = [];
    let writing = true;
    const write = async () => {
      for (let n = 0; writing; n++) {
        const { sent } = rooms[n % 3]!.send({ text: `text ${n}` });
        sends.push(sent);
        await Promise.race([sent, new Promise((resolve) => setTimeout(resolve, 20))]);
      }
    };
    const written = write();
    await server.faults.expireTokens();
    await until(rooms[0]!, ({ joined }) => !joined);
    await until(rooms[0]!, ({ joined }) => joined);
    writing = false;
    await written;
    await Promise.all(sends);
    expect(await rooms[0]!.draft()).toEqual({ text: "half a sent" });
    expect(client.laws.violations).toEqual(LAWFUL);
  });

  test("that the server refuses for good end the attempts, with the reason", async () => {
    const client = clientFor(server, "alice", { token: async () => "no token" });
    client.connect();
    const { reason } = await until(client.connection, ({ state }) => state === "failed");
    expect(reason).toMatch(/token/);
  });

  test("that cannot be fetched are fetched again", async () => {
    let fetched = 0;
    const client = clientFor(server, "alice", {
      token: async () => {
        if (++fetched === 1) throw new Error("the backend is down");
        return server.token("alice");
      },
    });
    client.connect();
    await until(client.connection, ({ reason }) => reason?.includes("the backend is down") ?? false);
    await until(client.connection, ({ state }) => state === "online");
  });
});

test("a view that opens while the connection is lost gets everything since the last one closed", async () => {
  const client = clientFor(server, "alice");
  const room = await enter(client, "reopened");
  await post(server, "reopened", "seen");
  await until(room, ({ messages }) => messages.length === 1);
  room.release();
  await until(room, ({ joined }) => !joined);
  await post(server, "reopened", "missed");
  server.faults.offline();
  await until(client.connection, ({ state }) => state === "offline");
  void room.join();
  await server.faults.heal();
  await until(room, ({ joined }) => joined);
  await post(server, "reopened", "live");
  const { messages } = await until(room, (snapshot) => snapshot.messages.some(({ text }) => text === "live"));
  expect(messages.map(({ text }) => text)).toEqual(["seen", "missed", "live"]);
});

test("a kicked user sees why, and is not reconnected", async () => {
  const client = clientFor(server, "alice");
  await enter(client, "kick");
  await server.api("POST", "users/alice/revoke", {});
  const { reason } = await until(client.connection, ({ state }) => state === "failed");
  expect(reason).toBeTruthy();
});

test("a half-open connection is noticed, and messages written meanwhile arrive once", async () => {
  const client = clientFor(server, "alice");
  const room = await enter(client, "half-open");
  server.faults.halfOpen();
  const sends = ["one", "two"].map((text) => room.send({ text }).sent);
  await until(client.connection, ({ state }) => state === "offline");
  await server.faults.heal();
  await Promise.all(sends);
  expect(await stored("half-open")).toEqual(["one", "two"]);
});

describe("a silent line", () => {
  for (const transport of ["websocket", "polling"] as const)
    test(`is noticed after a sleep, long before the heartbeat would fail (${transport})`, async () => {
      await using patient = await startRoomful({
        env: { ROOMFUL__SOCKET__PING_INTERVAL: "50s", ROOMFUL__SOCKET__PING_TIMEOUT: "50s" },
      });
      const client = clientFor(patient, "alice", { transports: [transport] });
      const room = await enter(client, "asleep");
      patient.faults.halfOpen();
      vi.useFakeTimers({ toFake: ["Date"], now: Date.now() + 20_000 });
      await until(client.connection, ({ state }) => state === "offline");
      // The next token is to be valid now.
      vi.useRealTimers();
      await patient.faults.heal();
      await until(room, ({ joined }) => joined);
      await client.close();
    });
});

test("a device clock that is an hour ahead changes nothing", async () => {
  vi.useFakeTimers({ toFake: ["Date"], now: Date.now() + 3_600_000 });
  const client = clientFor(server, "alice", {
    token: async () => server.token("alice", { issuedAt: new Date(Date.now() - 3_600_000), ttl: 7_200 }),
  });
  const room = await enter(client, "clock");
  const { seq } = await room.send({ text: "late" }).sent;
  expect(seq).toBe(1);
  expect(client.connection.getSnapshot()).toEqual({ state: "online" });
});

describe("a reload", () => {
  for (const kind of ["memory", "IndexedDB"]) {
    test(`keeps messages written offline, and sends them once (${kind})`, async () => {
      const open = (): Promise<Storage> =>
        kind === "memory" ? Promise.resolve(new MemoryStorage()) : openIndexedDb(`test-${kind}`);
      const storage = await open();
      const offline = clientFor(server, "alice", { storage });
      // Many within a millisecond.
      const texts = Array.from({ length: 20 }, (_, n) => `message ${n}`);
      for (const text of texts) offline.room("later").send({ text });
      await vi.waitUntil(async () => (await storage.keys()).length === texts.length, PATIENCE);
      await offline.close();

      const client = clientFor(server, "alice", { storage });
      await enter(client, "later");
      await vi.waitUntil(
        async () => !(await storage.keys()).some((key) => key.startsWith("outbox/")),
        PATIENCE,
      );
      expect(await stored("later")).toEqual(texts);
    });
  }

  test("shows cached messages at once and says that they are stale", async () => {
    const storage = new MemoryStorage();
    const first = clientFor(server, "alice", { storage });
    await (await enter(first, "cached")).send({ text: "cached" }).sent;
    await vi.waitUntil(async () => (await storage.keys()).includes("room/cached"), PATIENCE);
    await first.close();

    const client = clientFor(server, "alice", { storage });
    const { messages, stale } = await until(
      client.room("cached"),
      (snapshot) => snapshot.messages.length === 1,
    );
    expect([messages[0]?.text, stale]).toEqual(["cached", true]);
    await enter(client, "cached");
    await until(client.room("cached"), (snapshot) => !snapshot.stale);
    await client.signOut();
    expect(await storage.keys()).toEqual([]);
  });
});

test("a slow cache does not bring back a message that was deleted meanwhile", async () => {
  const storage = new MemoryStorage();
  const first = clientFor(server, "alice", { storage });
  const { seq } = await (await enter(first, "slow")).send({ text: "doomed" }).sent;
  await vi.waitUntil(async () => (await storage.keys()).includes("room/slow"), PATIENCE);
  await first.close();
  await (await enter(clientFor(server, "alice"), "slow")).remove(seq);

  // The cache answers after the request has left, and before the server's answer arrives.
  const cached = await storage.get("room/slow");
  let answerFromCache = () => {};
  storage.get = async (key) =>
    key === "room/slow"
      ? new Promise((resolve) => (answerFromCache = () => resolve(cached)))
      : undefined;
  const connection = new Connection(server.url, { token: async () => server.token("alice") });
  const request: Request = async (event, payload) => {
    const answer = await connection.request(event, payload);
    if (event === "chat:join") await until(room, ({ stale }) => stale);
    return answer;
  };
  const nothing = () => {};
  const common = { request, userId: () => "alice", userRestored: Promise.resolve() };
  const outbox = new Outbox({
    ...common,
    storage,
    tabs: new Tabs(undefined, nothing),
    entering: () => false,
    changed: nothing,
    sendRefused: nothing,
  });
  const room = new Room({
    ...common,
    name: "slow",
    outbox,
    cache: new RoomCache(storage, 10),
    moderator: () => false,
    serverNow: Date.now,
    connection: connection.state,
    counted: nothing,
    listed: () => Promise.resolve(undefined),
  });
  connection.connect();
  await until(connection.state, ({ state }) => state === "online");
  const caughtUp = room.catchUp();
  answerFromCache();
  await caughtUp;
  connection.close();
  expect(room.getSnapshot().messages).toMatchObject([{ seq, text: "", deleted: true }]);
});

test("without IndexedDB, and over the quota, the client works from memory", async () => {
  const refusing: Storage = {
    get: () => Promise.reject(new Error("refused")),
    set: () => Promise.reject(new DOMException("full", "QuotaExceededError")),
    delete: () => Promise.reject(new Error("refused")),
    keys: () => Promise.reject(new Error("refused")),
    clear: () => Promise.reject(new Error("refused")),
  };
  const kinds = [async () => refusing, () => Promise.reject<Storage>(new Error("private mode"))];
  for (const open of kinds) {
    const client = clientFor(server, "alice", { storage: new SafeStorage(open()) });
    const room = await enter(client, "memory");
    await room.send({ text: "sent" }).sent;
    await client.close();
  }
  expect(await stored("memory")).toEqual(["sent", "sent"]);
});

test("a message of a view that closes before the room is entered is sent as a member", async () => {
  const client = clientFor(server, "alice");
  client.connect();
  await until(client.connection, ({ state }) => state === "online");
  await server.faults.unavailable();
  const room = client.room("late");
  const joining = room.join();
  const { sent } = room.send({ text: "in time" });
  room.release();
  // The end of the subscription comes a second after the last view.
  const closed = Date.now() + 1_500;
  await vi.waitUntil(() => Date.now() > closed, PATIENCE);
  server.faults.offline();
  await until(client.connection, ({ state }) => state === "offline");
  await server.faults.heal();
  await sent;
  await joining.catch(() => undefined);
  expect(await stored("late")).toEqual(["in time"]);
});

test("a message of a view that closes and opens again at once is sent as a member", async () => {
  const client = clientFor(server, "alice");
  client.connect();
  const room = client.room("again");
  const joining = room.join();
  const { sent } = room.send({ text: "in time" });
  room.release();
  await until(client.connection, ({ state }) => state === "online");
  await Promise.all([joining, room.join(), sent]);
  expect(await stored("again")).toEqual(["in time"]);
});
