// Several tabs of one user, and several users on one device, against the real server.

import "fake-indexeddb/auto";

import { afterAll, afterEach, beforeAll, beforeEach, describe, expect, test, vi } from "vitest";

import { startRoomful, type TestRoomful } from "../../testing/src/index.ts";
import { MemoryStorage, type RoomfulClient, type Storage } from "../src/index.ts";
import { openIndexedDb } from "../src/indexeddb.ts";
import { withLocks } from "./locks.ts";
import { clientFor, closeClients, enter, until } from "./server.ts";

const PATIENCE = { timeout: 20_000 };

let server: TestRoomful;
beforeAll(async () => {
  server = await startRoomful();
});
beforeEach(withLocks);
afterEach(async () => {
  await server.faults.heal();
  await closeClients();
  vi.unstubAllGlobals();
});
afterAll(() => server?.stop());

let devices = 0;

/** A browser with one storage: each call of the function opens a tab. */
function browser(): { tab: (user: string) => RoomfulClient; storage: () => Promise<Storage> } {
  const profile = `device-${++devices}`;
  return {
    tab: (user) => clientFor(server, user, { persistence: "indexeddb", profile }),
    storage: () => openIndexedDb(`roomful:${profile}`),
  };
}

async function online(client: RoomfulClient): Promise<RoomfulClient> {
  client.connect();
  await until(client.connection, ({ state }) => state === "online");
  return client;
}

async function texts(name: string): Promise<string[]> {
  const room = await enter(clientFor(server, "reader"), name);
  return room.getSnapshot().messages.map(({ text }) => text);
}

describe("two tabs of a user", () => {
  test("send a message of the second one, whose room the first one has not opened", async () => {
    const { tab } = browser();
    await online(tab("ada"));
    const room = await enter(tab("ada"), "second");
    await room.send({ text: "from the second tab" }).sent;
    expect(await texts("second")).toEqual(["from the second tab"]);
  });

  test("send a message to a room that no tab has open", async () => {
    await server.api("PUT", "rooms/unopened", { kind: "public" });
    await server.api("PUT", "rooms/unopened/members/ada", {});
    const { tab } = browser();
    await online(tab("ada"));
    const second = await online(tab("ada"));
    await second.room("unopened").send({ text: "without a view" }).sent;
    expect(await texts("unopened")).toEqual(["without a view"]);
  });

  test("do not send a message before the tab that wrote it has become a member", async () => {
    const { tab } = browser();
    await online(tab("ada"));
    const second = await online(tab("ada"));
    const room = second.room(`new-${devices}`);
    void room.join();
    await room.send({ text: "at once" }).sent;
  });

  test("pass the messages on when the tab that sends closes, or loses its connection", async () => {
    await server.api("PUT", "rooms/passed-on", { kind: "public" });
    await server.api("PUT", "rooms/passed-on/members/ada", {});
    const { tab } = browser();
    const first = await online(tab("ada"));
    const second = await online(tab("ada"));
    server.faults.offline();
    await until(second.connection, ({ state }) => state === "offline");
    const { sent } = second.room("passed-on").send({ text: "left behind" });
    await first.close();
    await server.faults.heal();
    await sent;
    expect(await texts("passed-on")).toEqual(["left behind"]);
  });

  test("both end when the user signs out in one, and nothing stays on the device", async () => {
    const { tab, storage } = browser();
    const rooms = [await enter(tab("ada"), "ended"), await enter(tab("ada"), "ended")] as const;
    const first = await online(tab("ada"));
    await rooms[1].send({ text: "kept so far" }).sent;
    const device = await storage();
    await vi.waitUntil(async () => (await device.keys()).includes("room/ended"), PATIENCE);
    const ended = vi.fn();
    const third = await online(tab("ada"));
    third.on("signedOut", ended);
    await first.signOut();
    await vi.waitUntil(() => ended.mock.calls.length === 1, PATIENCE);
    await until(third.connection, ({ state }) => state === "idle");
    for (const room of rooms) await until(room, ({ messages, joined }) => !joined && messages.length === 0);
    await vi.waitUntil(async () => (await device.keys()).length === 0, PATIENCE);
  });

  test("remove what the other tab stores before it hears of the sign-out", async () => {
    const { tab, storage } = browser();
    const room = await enter(tab("ada"), "late");
    const first = await online(tab("ada"));
    server.faults.offline();
    await until(first.connection, ({ state }) => state === "offline");
    const cleared = first.signOut();
    const { sent } = room.send({ text: "written meanwhile" });
    void room.saveDraft({ text: "half a sent" });
    await cleared;
    await expect(sent).rejects.toMatchObject({ failure: { code: "unauthorized" } });
    const device = await storage();
    await vi.waitUntil(async () => (await device.keys()).length === 0, PATIENCE);
  });
});

describe("two users on a device", () => {
  test("do not send each other's messages, nor see each other's rooms, drafts and inbox", async () => {
    const storage = new MemoryStorage();
    const ada = clientFor(server, "ada", { storage });
    const room = await enter(ada, "shared");
    await room.send({ text: "by ada" }).sent;
    await room.saveDraft({ text: "half a sent" });
    await vi.waitUntil(async () => (await storage.keys()).includes("room/shared"), PATIENCE);
    server.faults.offline();
    await until(ada.connection, ({ state }) => state === "offline");
    room.send({ text: "unsent by ada" });
    await vi.waitUntil(async () => (await storage.keys()).some((key) => key.startsWith("outbox/")), PATIENCE);
    await ada.close();
    await server.faults.heal();

    const bob = clientFor(server, "bob", { storage });
    bob.room("shared").send({ text: "by bob" });
    await enter(bob, "shared");
    await vi.waitUntil(
      async () => !(await storage.keys()).some((key) => key.startsWith("outbox/")),
      PATIENCE,
    );
    expect(await texts("shared")).toEqual(["by ada"]);
    expect(await bob.room("shared").draft()).toBeUndefined();
  });

  test("with one client: a message that is unsent when another user signs in fails", async () => {
    let user = "ada";
    const client = clientFor(server, "", { token: async () => server.token(user) });
    const room = await enter(client, "turns");
    await room.send({ text: "by ada" }).sent;
    server.faults.offline();
    await until(client.connection, ({ state }) => state === "offline");
    const { sent } = room.send({ text: "unsent by ada" });
    user = "bob";
    await server.faults.heal();
    await expect(sent).rejects.toMatchObject({ failure: { code: "unauthorized" } });
    await until(client.user, (id) => id === "bob");
    await until(room, ({ joined }) => joined);
    await room.send({ text: "by bob" }).sent;
    const { messages } = await until(room, (snapshot) => snapshot.messages.length === 2);
    expect(messages.map(({ text, userId }) => [text, userId])).toEqual([
      ["by ada", "ada"],
      ["by bob", "bob"],
    ]);
  });

  test("in two tabs at once: each message leaves as the user who wrote it", async () => {
    const { tab } = browser();
    const ada = await enter(tab("ada"), "both");
    const bob = await enter(tab("bob"), "both");
    const sent = [ada, bob].map((room, at) => room.send({ text: `by ${["ada", "bob"][at]}` }).sent);
    expect((await Promise.all(sent)).map(({ userId }) => userId)).toEqual(["ada", "bob"]);
    const { messages } = await until(ada, (snapshot) => snapshot.messages.length === 2);
    for (const { text, userId } of messages) expect(text).toBe(`by ${userId}`);
  });
});
