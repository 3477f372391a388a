// What stays on the device of rooms that the user uses, no longer uses, and has lost.

import { afterAll, afterEach, beforeAll, expect, test, vi } from "vitest";

import { startRoomful, type TestRoomful } from "../../testing/src/index.ts";
import type { ConnectionState } from "../src/connection.ts";
import { RequestError, type Failure } from "../src/contract.ts";
import { MemoryStorage } from "../src/index.ts";
import { Outbox } from "../src/outbox.ts";
import { Room } from "../src/room.ts";
import { RoomCache } from "../src/room_cache.ts";
import type { SavedLog } from "../src/room_log.ts";
import { WritableStore } from "../src/store.ts";
import { Tabs } from "../src/tabs.ts";
import { clientFor, closeClients, enter, post } from "./server.ts";

const PATIENCE = { timeout: 20_000 };

let server: TestRoomful;
beforeAll(async () => {
  server = await startRoomful();
});
afterEach(closeClients);
afterAll(() => server?.stop());

const kept = async (storage: MemoryStorage): Promise<string[]> =>
  (await storage.keys()).filter((key) => key.startsWith("room/")).sort();

test("the cache keeps as many rooms as it may, and those that were used last", async () => {
  const storage = new MemoryStorage();
  const options = { storage, cachedRooms: 2 };
  const client = clientFor(server, "ada", options);
  for (const name of ["first", "second", "third"]) {
    await enter(client, name);
    await vi.waitUntil(async () => (await kept(storage)).includes(`room/${name}`), PATIENCE);
  }
  await vi.waitUntil(async () => (await kept(storage)).length === 2, PATIENCE);
  expect(await kept(storage)).toEqual(["room/second", "room/third"]);
  await client.close();

  // A look at a cached room is a use.
  const later = clientFor(server, "ada", options);
  await later.room("second").restored;
  await enter(later, "fourth");
  await vi.waitUntil(async () => (await kept(storage)).includes("room/fourth"), PATIENCE);
  await vi.waitUntil(async () => (await kept(storage)).length === 2, PATIENCE);
  expect(await kept(storage)).toEqual(["room/fourth", "room/second"]);
});

test("a room that the user has lost while away leaves the device", async () => {
  const storage = new MemoryStorage();
  const first = clientFor(server, "ada", { storage });
  for (const name of ["lost", "held"]) {
    await post(server, name, "hello").catch(async () => {
      await server.api("PUT", `rooms/${name}`, { kind: "public" });
      await post(server, name, "hello");
    });
    const room = await enter(first, name);
    await room.saveDraft({ text: "half a sent" });
    await vi.waitUntil(async () => (await kept(storage)).includes(`room/${name}`), PATIENCE);
  }
  await first.close();
  await server.api("DELETE", "rooms/lost/members/ada");
  const second = clientFor(server, "ada", { storage });
  second.connect();
  await vi.waitUntil(async () => !(await storage.keys()).includes("draft/lost"), PATIENCE);
  await vi.waitUntil(async () => (await kept(storage)).length === 1, PATIENCE);
  expect(await kept(storage)).toEqual(["room/held"]);
  expect(await second.room("held").draft()).toEqual({ text: "half a sent" });
});

const LOG: SavedLog = {
  epoch: "e1",
  from: 1,
  upTo: 1,
  hasOlder: false,
  messages: [{ id: "m1", room: "den", seq: 1, userId: "bob", text: "hello", at: 1 }],
};

for (const [code, stays] of [
  ["forbidden", false],
  ["banned", false],
  ["quota_exceeded", true],
  ["invalid_request", true],
] as const satisfies readonly (readonly [Failure["code"], boolean])[])
  test(`a join that answers ${code} ${stays ? "keeps" : "removes"} messages and draft`, async () => {
    const cache = new RoomCache(new MemoryStorage(), 10);
    await cache.saveLog("den", LOG);
    await cache.saveDraft("den", { text: "half a sent" });
    const refusal = new RequestError({ code, message: "no", retryable: false });
    const common = {
      request: () => Promise.reject(refusal),
      userId: () => "ada",
      userRestored: Promise.resolve(),
    };
    const nothing = () => {};
    const outbox = new Outbox({
      ...common,
      storage: new MemoryStorage(),
      tabs: new Tabs(undefined, nothing),
      entering: () => false,
      changed: nothing,
      sendRefused: nothing,
    });
    const room = new Room({
      ...common,
      name: "den",
      outbox,
      cache,
      moderator: () => false,
      serverNow: Date.now,
      connection: new WritableStore<ConnectionState>({ state: "online" }),
      counted: nothing,
    listed: () => Promise.resolve(undefined),
    });
    await expect(room.join()).rejects.toMatchObject({ failure: { code } });
    expect(room.getSnapshot().error?.code).toBe(code);
    expect(room.getSnapshot().messages).toHaveLength(stays ? 1 : 0);
    await vi.waitUntil(async () => (await cache.names()).includes("den") === stays, PATIENCE);
    expect((await cache.draft("den")) !== undefined).toBe(stays);
    room.close();
  });
