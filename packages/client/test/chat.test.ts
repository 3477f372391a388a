// The client against the real server: rooms, messages, marks, presence, notifications.

import { afterAll, afterEach, beforeAll, describe, expect, test } from "vitest";

import { startRoomful, type TestRoomful } from "../../testing/src/index.ts";
import { MemoryStorage, RoomfulClient, type RoomfulClientOptions } from "../src/index.ts";
import { clientFor, closeClients, enter, post, until } from "./server.ts";

let server: TestRoomful;
beforeAll(async () => {
  server = await startRoomful();
});
afterEach(closeClients);
afterAll(() => server?.stop());

let rooms = 0;
const newRoom = (): string => `room-${++rooms}`;

async function joined(user: string, name: string, options: Partial<RoomfulClientOptions> = {}) {
  const client = clientFor(server, user, options);
  return { client, room: await enter(client, name) };
}

describe("two users in a room", () => {
  test("see each other's messages, edits, reactions and deletions", async () => {
    const name = newRoom();
    const alice = await joined("alice", name);
    const bob = await joined("bob", name);
    const { sent } = alice.room.send({ text: "hello", mentions: ["bob"] });
    expect((await sent).seq).toBe(1);
    await until(bob.room, ({ messages }) => messages.some(({ text }) => text === "hello"));
    await alice.room.edit(1, "hello, bob");
    await bob.room.react(1, "👍");
    const edited = await until(bob.room, ({ messages }) => messages[0]?.reactions !== undefined);
    expect(edited.messages[0]).toMatchObject({
      text: "hello, bob",
      state: "sent",
      reactions: [{ emoji: "👍", userIds: ["bob"], count: 1 }],
    });
    expect([edited.unread, edited.mentions]).toEqual([1, 1]);
    await bob.room.react(1, "👍", false);
    await alice.room.remove(1);
    const deleted = await until(bob.room, ({ messages }) => messages[0]?.deleted === true);
    expect(deleted.messages).toHaveLength(1);
    expect(alice.client.laws.violations).toEqual({ ascending: 0, dense: 0, once: 0 });
  });

  test("get stable snapshots, and their own message at once", async () => {
    const name = newRoom();
    const { room } = await joined("alice", name);
    await room.send({ text: "first" }).sent;
    const before = room.getSnapshot();
    expect(room.getSnapshot()).toBe(before);
    const { sent } = room.send({ text: "second" });
    const during = room.getSnapshot();
    expect(during.messages.map(({ text, state }) => [text, state])).toEqual([
      ["first", "sent"],
      ["second", "sending"],
    ]);
    expect(during.messages[0]).toBe(before.messages[0]);
    await sent;
    const after = await until(room, ({ messages }) => messages.every(({ state }) => state === "sent"));
    expect(after.messages).toHaveLength(2);
  });

  test("see typing, members and read marks", async () => {
    const name = newRoom();
    const alice = await joined("alice", name);
    const bob = await joined("bob", name);
    await until(alice.room, ({ members }) => members.length === 2);
    bob.room.typing();
    await until(alice.room, ({ typing }) => typing.includes("bob"));
    bob.room.send({ text: "done" });
    await until(alice.room, ({ typing, unread }) => typing.length === 0 && unread === 1);
    alice.room.markRead();
    const read = await until(alice.room, ({ unread }) => unread === 0);
    expect(read.readSeq).toBe(1);
    await until(alice.room, ({ members }) =>
      members.some(({ userId, readSeq }) => userId === "alice" && readSeq === 1),
    );
    await until(alice.client.inbox, (inbox) =>
      inbox.rooms.some((row) => row.room === name && row.readSeq === 1 && row.unread === 0),
    );
  });

  test("load older messages page by page", async () => {
    const name = newRoom();
    await server.api("PUT", `rooms/${name}`, { kind: "public" });
    for (let i = 1; i <= 120; i++) await post(server, name, `text ${i}`);
    const { room } = await joined("alice", name);
    expect(room.getSnapshot().messages).toHaveLength(50);
    await room.loadOlder();
    await room.loadOlder();
    const { messages, hasOlder } = room.getSnapshot();
    expect(messages.map(({ seq }) => seq)).toEqual(Array.from({ length: 120 }, (_, i) => i + 1));
    expect(hasOlder).toBe(false);
  });

  test("jump to an old message while a page is loading", async () => {
    const name = newRoom();
    await server.api("PUT", `rooms/${name}`, { kind: "public" });
    for (let i = 1; i <= 260; i++) await post(server, name, `text ${i}`);
    const { room } = await joined("alice", name);
    const page = room.loadOlder();
    expect(room.loadOlder()).toBe(page);
    await room.jumpTo(1);
    expect(room.getSnapshot().messages.map(({ seq }) => seq)).toEqual(
      Array.from({ length: 260 }, (_, i) => i + 1),
    );
    expect(room.getSnapshot().loading).toBe(false);
  });
});

test("a jump to a message that the room does not have, or cannot know offline, rejects", async () => {
  const name = newRoom();
  const { client, room } = await joined("alice", name);
  const { seq } = await room.send({ text: "the only one" }).sent;
  await room.jumpTo(seq);
  for (const none of [seq + 1, 99_999, -1])
    await expect(room.jumpTo(none)).rejects.toMatchObject({ failure: { code: "not_found" } });
  await client.close();
  await room.jumpTo(seq);
  await expect(room.jumpTo(seq + 1)).rejects.toMatchObject({ failure: { code: "offline" } });
});

test("a message over the limit fails with its reason, and can be discarded", async () => {
  // The check for development refuses such a message before the server does.
  const { room } = await joined("alice", newRoom(), { check: () => undefined });
  const { sent } = room.send({ text: "x".repeat(20_000) });
  await expect(sent).rejects.toMatchObject({ failure: { code: "payload_too_large" } });
  const [failed] = room.getSnapshot().messages;
  if (failed?.state !== "failed") throw new Error(`not failed: ${JSON.stringify(failed)}`);
  failed.discard();
  expect(room.getSnapshot().messages).toEqual([]);
});

test("a private room that the user may not enter reports the error", async () => {
  const name = newRoom();
  await server.api("PUT", `rooms/${name}`, { kind: "private" });
  const client = clientFor(server, "mallory");
  client.connect();
  const room = client.room(name);
  await expect(room.join()).rejects.toMatchObject({ failure: { code: "forbidden" } });
  const { joined: inside, error } = room.getSnapshot();
  expect([inside, error?.code]).toEqual([false, "forbidden"]);
  await server.api("PUT", `rooms/${name}/members/mallory`, {});
  await room.join();
  expect([room.getSnapshot().joined, room.getSnapshot().error]).toEqual([true, undefined]);
});

test("a join right after connect waits until the client is in the room or fails to connect", async () => {
  const client = clientFor(server, "alice");
  client.connect();
  const room = client.room(newRoom());
  await room.join();
  expect(room.getSnapshot().joined).toBe(true);
  const refused = clientFor(server, "alice", { token: () => Promise.resolve("no token") });
  refused.connect();
  await expect(refused.room("lobby").join()).rejects.toThrow();
  const away = new RoomfulClient("http://127.0.0.1:9", { token: () => Promise.resolve("none") });
  away.connect();
  const unreached = away.room("lobby");
  await unreached.join();
  expect(unreached.getSnapshot().joined).toBe(false);
  await away.close();
});

test("what another device reads is read in an open room and in the inbox", async () => {
  const name = newRoom();
  const [phone, laptop, bob] = [
    await joined("ada", name),
    await joined("ada", name),
    await joined("bob", name),
  ];
  for (const text of ["one", "two"]) await bob.room.send({ text }).sent;
  await until(phone.room, ({ unread }) => unread === 2);
  await until(laptop.room, ({ unread }) => unread === 2);
  laptop.room.markRead();
  await until(phone.room, ({ unread, readSeq }) => unread === 0 && readSeq === 2);
  await until(phone.client.inbox, ({ rooms }) => rooms.some((row) => row.room === name && row.unread === 0));
});

test("deleting or editing a message while the room is open changes the counts and the inbox", async () => {
  const name = newRoom();
  const [ada, bob] = [await joined("ada", name), await joined("bob", name)];
  for (const text of ["one", "two"]) await bob.room.send({ text, mentions: ["ada"] }).sent;
  await until(ada.room, ({ unread, mentions }) => unread === 2 && mentions === 2);
  await bob.room.edit(2, "too");
  const row = () => ada.client.inbox.getSnapshot().rooms.find(({ room }) => room === name);
  await until(ada.client.inbox, () => row()?.lastMessage?.text === "too");
  await bob.room.remove(2);
  await until(ada.client.inbox, () => row()?.lastMessage?.deleted === true);
  await until(ada.room, ({ unread, mentions }) => unread === 1 && mentions === 1);
  await until(ada.client.inbox, () => row()?.unread === 1);
  expect(row()).toMatchObject({ head: 4, lastMessage: { text: "" } });
});

test("a new count does not bring back a user after a leave on another device", async () => {
  const name = newRoom();
  const [phone, laptop, bob] = [
    await joined("ada", name),
    await joined("ada", name),
    await joined("bob", name),
  ];
  await bob.room.send({ text: "one" }).sent;
  await until(laptop.room, ({ unread }) => unread === 1);
  laptop.room.markRead();
  await until(phone.room, ({ readSeq }) => readSeq === 1);
  await laptop.room.leave();
  await until(phone.room, ({ joined: inside }) => !inside);
  const { members } = await server.api<{ members: object[] }>("GET", `rooms/${name}/members`);
  expect(members).toMatchObject([{ userId: "bob" }]);
});

test("the inbox lists rooms with unread counts, latest first", async () => {
  const [first, second] = [newRoom(), newRoom()];
  for (const name of [first, second]) {
    await server.api("PUT", `rooms/${name}`, { kind: "public" });
    await server.api("PUT", `rooms/${name}/members/carol`, {});
  }
  await post(server, first, "one");
  await post(server, second, "two");
  const client = clientFor(server, "carol");
  client.connect();
  const { rooms: rows } = await until(client.inbox, ({ rooms: listed }) => listed.length === 2);
  expect(rows.map(({ room, unread }) => [room, unread])).toEqual([
    [second, 1],
    [first, 1],
  ]);
  await post(server, first, "three");
  await until(client.inbox, ({ rooms: listed }) =>
    listed.some(({ room, unread }) => room === first && unread === 2),
  );
});

test("notifications arrive live and missed, and are marked as read", async () => {
  const notify = (title: string) =>
    server.api("POST", "notifications", { userIds: ["dave"], kind: "test", title, body: "…", id: title });
  await notify("missed");
  const client = clientFor(server, "dave");
  client.connect();
  await until(client.notifications, ({ unread }) => unread === 1);
  const heard: string[] = [];
  client.on("notification", ({ title }) => heard.push(title));
  await notify("live");
  const { notifications } = await until(client.notifications, ({ unread }) => unread === 2);
  expect(notifications.map(({ title }) => title).sort()).toEqual(["live", "missed"]);
  await client.notifications.markRead();
  expect(client.notifications.getSnapshot().unread).toBe(0);
});

test("a watched user's presence follows their connections and status", async () => {
  const name = newRoom();
  const alice = await joined("alice", name);
  const bob = await joined("bob", name);
  const end = alice.client.presence.watch(["bob"]);
  await until(alice.client.presence, (users) => users.get("bob")?.status === "online");
  await bob.client.setStatus("busy", "in a meeting");
  await until(alice.client.presence, (users) => users.get("bob")?.text === "in a meeting");
  end();
  expect(alice.client.presence.getSnapshot().has("bob")).toBe(false);
});

test("members carry read marks, and offline members stay in the list", async () => {
  const name = newRoom();
  const alice = await joined("alice", name);
  const bob = await joined("bob", name);
  await alice.room.send({ text: "hello" }).sent;
  await until(bob.room, ({ messages }) => messages.length === 1);
  bob.room.markRead();
  const readBy = (id: string, seq: number) =>
    until(alice.room, ({ members }) =>
      members.some(({ userId, readSeq }) => userId === id && readSeq === seq),
    );
  await readBy("bob", 1);
  await bob.client.close();
  await until(alice.room, ({ members }) =>
    members.some(({ userId, status, readSeq }) => userId === "bob" && status === "offline" && readSeq === 1),
  );
});

test("the last release ends the subscription, and the next join catches up", async () => {
  const name = newRoom();
  const alice = await joined("alice", name);
  const bob = await joined("bob", name);
  await bob.room.join();
  bob.room.release();
  bob.room.release();
  await until(bob.room, (snapshot) => !snapshot.joined);
  await alice.room.send({ text: "unseen" }).sent;
  await until(bob.client.inbox, ({ rooms: rows }) =>
    rows.some(
      ({ room, unread, lastMessage }) => room === name && unread === 1 && lastMessage?.text === "unseen",
    ),
  );
  expect(bob.room.getSnapshot().messages).toHaveLength(0);
  await bob.room.join();
  const { messages } = await until(bob.room, (snapshot) => snapshot.joined);
  expect(messages.map(({ text }) => text)).toEqual(["unseen"]);
  bob.room.markRead();
  await until(bob.client.inbox, ({ rooms: rows }) =>
    rows.some(({ room, unread }) => room === name && unread === 0),
  );
  expect(bob.client.laws.violations).toEqual({ ascending: 0, dense: 0, once: 0 });
});

test("a view that comes back at once keeps the subscription", async () => {
  const { room } = await joined("alice", newRoom());
  const states: boolean[] = [];
  room.subscribe(() => states.push(room.getSnapshot().joined));
  room.release();
  await room.join();
  await room.send({ text: "still here" }).sent;
  expect(states).not.toContain(false);
});

test("a draft and the user's id survive a restart of the app, and not a sign-out", async () => {
  const name = newRoom();
  const storage = new MemoryStorage();
  const first = clientFor(server, "alice", { storage });
  first.connect();
  await until(first.user, (id) => id === "alice");
  await first.room(name).saveDraft({ text: "half a sent", replyTo: 3 });
  await first.close();
  const second = clientFor(server, "alice", { storage });
  await until(second.user, (id) => id === "alice");
  expect(await second.room(name).draft()).toEqual({ text: "half a sent", replyTo: 3 });
  await second.signOut();
  const third = clientFor(server, "alice", { storage });
  expect(await third.room(name).draft()).toBeUndefined();
});
