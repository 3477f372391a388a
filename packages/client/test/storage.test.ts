// What reaches the storage, and when: before `close` resolves, and not after a sign-out. The storage answers
// late and in no order, as AsyncStorage of React Native does.

import "fake-indexeddb/auto";

import { setTimeout as pause } from "node:timers/promises";

import { afterAll, afterEach, beforeAll, describe, expect, test, vi } from "vitest";

import { startRoomful, type TestRoomful } from "../../testing/src/index.ts";
import { MemoryStorage, RoomfulClient, type Room, type Storage } from "../src/index.ts";
import { openIndexedDb } from "../src/indexeddb.ts";
import { SafeStorage } from "../src/storage.ts";
import { clientFor, closeClients, enter, until } from "./server.ts";

let server: TestRoomful;
beforeAll(async () => {
  server = await startRoomful();
});
afterEach(async () => {
  vi.useRealTimers();
  await server.faults.heal();
  await closeClients();
});
afterAll(() => server?.stop());

/** A storage with the given latency of each kind of call, in milliseconds. */
class LateStorage extends MemoryStorage {
  /** Calls in progress. */
  busy = 0;
  /** Called when a call begins. */
  begun = () => {};
  readonly #latency: { set?: number; delete?: number };

  constructor(latency: { set?: number; delete?: number }) {
    super();
    this.#latency = latency;
  }

  override set(key: string, value: unknown): Promise<void> {
    return this.#late(this.#latency.set, () => super.set(key, value));
  }

  override delete(key: string): Promise<void> {
    return this.#late(this.#latency.delete, () => super.delete(key));
  }

  async #late(milliseconds: number | undefined, call: () => Promise<void>): Promise<void> {
    this.busy += 1;
    this.begun();
    await pause(milliseconds);
    await call();
    this.busy -= 1;
  }
}

/** Leaves writes of every kind in progress and due: a sent and an unsent message, a draft, room and inbox. */
async function write(client: RoomfulClient, name: string): Promise<Room> {
  const room = await enter(client, name);
  await until(client.inbox, ({ rooms }) => rooms.some((row) => row.room === name));
  await room.send({ text: "sent" }).sent;
  server.faults.offline();
  await until(client.connection, ({ state }) => state === "offline");
  void room.saveDraft({ text: "half a sent" });
  room.send({ text: "unsent" });
  return room;
}

let made = 0;
const newName = (): string => `room-${++made}`;

const KINDS: [string, () => Promise<Storage>][] = [
  ["MemoryStorage", async () => new MemoryStorage()],
  ["IndexedDB", () => openIndexedDb(`storage-${++made}`)],
  ["late sets", async () => new LateStorage({ set: 50 })],
  ["late deletes", async () => new LateStorage({ delete: 50 })],
];

describe.each(KINDS)("with %s", (_, open) => {
  test("nothing stays or comes back after a sign-out, and old views store nothing", async () => {
    const storage = await open();
    const client = clientFor(server, "ada", { storage });
    const room = await write(client, newName());
    await client.signOut();
    const busy = storage instanceof LateStorage ? storage.busy : 0;
    expect([await storage.keys(), busy]).toEqual([[], 0]);

    await room.saveDraft({ text: "from a view that closes" });
    await expect(room.send({ text: "too late" }).sent).rejects.toMatchObject({
      failure: { code: "unauthorized" },
    });
    await client.close();
    expect(await storage.keys()).toEqual([]);
    expect(room.getSnapshot().messages).toEqual([]);
  });

  test("everything is stored when close resolves", async () => {
    const storage = await open();
    const client = clientFor(server, "ada", { storage });
    const name = newName();
    await write(client, name);
    await client.close();
    const keys = (await storage.keys()).sort();
    const unsent = expect.stringMatching(/^outbox\//);
    expect(keys).toEqual([`draft/${name}`, "inbox", unsent, `room/${name}`, "rooms", "user"]);
    const cached = (await storage.get(`room/${name}`)) as { messages: { text: string }[] };
    expect(cached.messages.map(({ text }) => text)).toEqual(["sent"]);
  });
});

test("a client signs in again after its sign-out, and stores what is new", async () => {
  let user = "ada";
  const storage = new LateStorage({ set: 50 });
  const client = clientFor(server, "", { token: async () => server.token(user), storage });
  await write(client, newName());
  const out = client.signOut();
  user = "bob";
  await server.faults.heal();
  const name = newName();
  await (await enter(client, name)).send({ text: "by bob" }).sent;
  await out;
  await client.close();
  expect((await storage.keys()).sort()).toEqual(["inbox", `room/${name}`, "rooms", "user"]);
  expect(await storage.get("user")).toBe("bob");
});

test("close waits 5 s for a storage that does not answer", async () => {
  const storage = new MemoryStorage();
  storage.set = () => new Promise(() => undefined);
  const client = clientFor(server, "ada", { storage });
  client.room("hung").send({ text: "unsent" });
  vi.useFakeTimers({ toFake: ["setTimeout", "clearTimeout"] });
  const closed = vi.fn();
  void client.close().then(closed);
  await vi.advanceTimersByTimeAsync(4_999);
  expect(closed).not.toHaveBeenCalled();
  await vi.advanceTimersByTimeAsync(1);
  expect(closed).toHaveBeenCalled();
  // The clients of all tests are closed after each.
  storage.set = () => Promise.resolve();
});

describe("writes of one key", () => {
  test("happen in their order", async () => {
    const inner = new LateStorage({ set: 20 });
    const storage = new SafeStorage(Promise.resolve(inner));
    const begun = new Promise<void>((resolve) => (inner.begun = resolve));
    const set = storage.set("key", 1);
    await begun;
    await Promise.all([storage.delete("key"), set]);
    expect(await inner.keys()).toEqual([]);
  });

  test("that wait are replaced by the latest one", async () => {
    const inner = new LateStorage({ set: 5 });
    const set = vi.spyOn(inner, "set");
    const storage = new SafeStorage(Promise.resolve(inner));
    const begun = new Promise<void>((resolve) => (inner.begun = resolve));
    const first = storage.set("key", 0);
    await begun;
    for (let value = 1; value <= 100; value += 1) void storage.set("key", value);
    await first;
    expect(set.mock.calls.map(([, value]) => value)).toEqual([0, 100]);
    expect(await storage.get("key")).toBe(100);
  });
});

test("a storage that cannot be opened keeps values in memory", async () => {
  const storage = new SafeStorage(Promise.reject(new Error("private mode")));
  await storage.set("key", "value");
  expect([await storage.get("key"), await storage.keys()]).toEqual(["value", ["key"]]);
});
