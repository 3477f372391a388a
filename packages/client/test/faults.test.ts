// The client under faults of the server, the connection, the token, the clock and the storage.

import "fake-indexeddb/auto";

import { once } from "node:events";
import { createConnection, createServer, type AddressInfo, type Socket } from "node:net";

import { afterEach, beforeEach, describe, expect, test, vi } from "vitest";

import { MemoryStorage, RoomfulClient, type Storage } from "../src/index.ts";
import { openIndexedDb } from "../src/indexeddb.ts";
import { SafeStorage } from "../src/storage.ts";
import {
  api,
  clientFor,
  closeClients,
  command,
  post,
  startServer,
  token,
  until,
  type Server,
} from "./server.ts";

const LAWFUL = { ascending: 0, dense: 0, once: 0 };

let server: Server;
beforeEach(async () => {
  server = await startServer({ ROOMFUL__SOCKET__PING_INTERVAL: "1s", ROOMFUL__SOCKET__PING_TIMEOUT: "1s" });
});
afterEach(async () => {
  vi.useRealTimers();
  await closeClients();
  await server.stop();
});

async function joined(client: RoomfulClient, name: string) {
  client.connect();
  const room = client.room(name);
  await room.join();
  await until(room, (snapshot) => snapshot.joined);
  return room;
}

/** All messages of a room, read by another user. */
async function stored(name: string): Promise<string[]> {
  const reader = await joined(clientFor(server, "reader"), name);
  while (reader.getSnapshot().hasOlder) await reader.loadOlder();
  return reader.getSnapshot().messages.map(({ text }) => text);
}

/** A TCP proxy to the server that can go silent without closing its connections. */
async function startProxy(to: string) {
  const { hostname, port } = new URL(to);
  const sockets = new Set<Socket>();
  let silent = false;
  const proxy = createServer((near) => {
    const far = createConnection(Number(port), hostname);
    for (const [from, into] of [
      [near, far],
      [far, near],
    ] as const) {
      sockets.add(from);
      from.on("data", (data) => silent || into.write(data));
      from.on("error", () => into.destroy()).on("close", () => into.destroy());
    }
  }).listen(0, "127.0.0.1");
  await once(proxy, "listening");
  return {
    url: `http://127.0.0.1:${(proxy.address() as AddressInfo).port}`,
    silence: () => (silent = true),
    heal: () => (silent = false),
    cut: () => sockets.forEach((socket) => socket.destroy()),
    stop: () => {
      sockets.forEach((socket) => socket.destroy());
      proxy.close();
    },
  };
}

describe("kill -9 of the server", () => {
  test("during sends: each message is stored once, in the order of writing", async () => {
    const client = clientFor(server, "alice");
    const room = await joined(client, "busy");
    const texts = Array.from({ length: 60 }, (_, i) => `text ${i}`);
    const sends = texts.map((text) => room.send({ text }).sent);
    await until(room, ({ messages }) => messages.filter(({ state }) => state === "sent").length >= 10);
    await server.end("SIGKILL");
    await server.restart();
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
    const room = await joined(client, "quiet");
    await room.send({ text: "before" }).sent;
    await server.end("SIGKILL");
    await until(room, (snapshot) => !snapshot.joined && snapshot.stale);
    await server.restart();
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
    const before = await joined(first, "long");
    await before.send({ text: "text 0" }).sent;
    await until(before, ({ messages }) => messages[0]?.state === "sent");
    await first.close();
    for (let i = 1; i <= 450; i++) await post(server, "long", `text ${i}`);

    const second = clientFor(server, "alice", { storage });
    const room = await joined(second, "long");
    const { messages } = await until(room, (snapshot) => snapshot.messages.length === 451);
    expect(messages.map(({ seq }) => seq)).toEqual(Array.from({ length: 451 }, (_, i) => i + 1));
    expect(second.laws.violations).toEqual(LAWFUL);
  });

  test("of thousands of messages starts over with the newest page", async () => {
    const storage = new MemoryStorage();
    const first = clientFor(server, "alice", { storage });
    await (await joined(first, "far")).send({ text: "old" }).sent;
    await first.close();
    for (let i = 0; i < 2_300; i += 50)
      await Promise.all(Array.from({ length: 50 }, (_, k) => post(server, "far", `new ${i + k}`)));
    await post(server, "far", "newest");

    const room = await joined(clientFor(server, "alice", { storage }), "far");
    const { messages, hasOlder } = await until(
      room,
      (snapshot) => snapshot.messages.at(-1)?.text === "newest",
    );
    expect(messages.length).toBeLessThanOrEqual(200);
    expect(hasOlder).toBe(true);
  });
});

test("a restored backup resets the room to the new log", async () => {
  const room = await joined(clientFor(server, "alice"), "restored");
  await room.send({ text: "kept" }).sent;
  await server.end("SIGTERM");
  command(server, "new-epoch");
  await server.restart();
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
      const iat = Math.floor(Date.now() / 1_000);
      return token("alice", { iat, exp: iat + 4 });
    };
    const client = clientFor(server, "alice", { token: fresh });
    const room = await joined(client, "tokens");
    await vi.waitUntil(() => fetched >= 4, { timeout: 20_000 });
    expect(client.connection.getSnapshot()).toEqual({ state: "online" });
    await room.send({ text: "still here" }).sent;
  });

  test("that have expired are replaced by a fresh one", async () => {
    let fetched = 0;
    const client = clientFor(server, "alice", {
      token: async () => (++fetched === 1 ? token("alice", { iat: 1_000, exp: 2_000 }) : token("alice")),
    });
    client.connect();
    await until(client.connection, ({ state }) => state === "online");
    expect(fetched).toBe(2);
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
        return token("alice");
      },
    });
    client.connect();
    await until(client.connection, ({ reason }) => reason?.includes("the backend is down") ?? false);
    await until(client.connection, ({ state }) => state === "online");
  });
});

test("a kicked user sees why, and is not reconnected", async () => {
  const client = clientFor(server, "alice");
  await joined(client, "kick");
  await api(server, "POST", "users/alice/revoke", {});
  const { reason } = await until(client.connection, ({ state }) => state === "failed");
  expect(reason).toBeTruthy();
});

test("a half-open connection is noticed, and messages written meanwhile arrive once", async () => {
  const proxy = await startProxy(server.url);
  const client = new RoomfulClient(proxy.url, { token: async () => token("alice") });
  try {
    const room = await joined(client, "half-open");
    proxy.silence();
    const sends = ["one", "two"].map((text) => room.send({ text }).sent);
    await until(client.connection, ({ state }) => state === "offline");
    proxy.cut();
    proxy.heal();
    await Promise.all(sends);
    expect(await stored("half-open")).toEqual(["one", "two"]);
  } finally {
    await client.close();
    proxy.stop();
  }
});

test("a device clock that is an hour ahead changes nothing", async () => {
  vi.useFakeTimers({ toFake: ["Date"], now: Date.now() + 3_600_000 });
  const iat = Math.floor(Date.now() / 1_000) - 3_600;
  const client = clientFor(server, "alice", {
    token: async () => token("alice", { iat, exp: iat + 7_200 }),
  });
  const room = await joined(client, "clock");
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
      await vi.waitUntil(async () => (await storage.keys()).length === texts.length);
      await offline.close();

      const client = clientFor(server, "alice", { storage });
      await joined(client, "later");
      await vi.waitUntil(async () => !(await storage.keys()).some((key) => key.startsWith("outbox/")));
      expect(await stored("later")).toEqual(texts);
    });
  }

  test("shows cached messages at once and says that they are stale", async () => {
    const storage = new MemoryStorage();
    const first = clientFor(server, "alice", { storage });
    await (await joined(first, "cached")).send({ text: "cached" }).sent;
    await vi.waitUntil(async () => (await storage.keys()).includes("room/cached"));
    await first.close();

    const client = clientFor(server, "alice", { storage });
    const { messages, stale } = await until(
      client.room("cached"),
      (snapshot) => snapshot.messages.length === 1,
    );
    expect([messages[0]?.text, stale]).toEqual(["cached", true]);
    await joined(client, "cached");
    await until(client.room("cached"), (snapshot) => !snapshot.stale);
    await client.signOut();
    expect(await storage.keys()).toEqual([]);
  });
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
    const room = await joined(client, "memory");
    await room.send({ text: "sent" }).sent;
    await client.close();
  }
  expect(await stored("memory")).toEqual(["sent", "sent"]);
});
