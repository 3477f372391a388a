// Moderation against the real server: what moderators order, and what the others see of it.

import { afterAll, afterEach, beforeAll, expect, test } from "vitest";

import { startRoomful, type TestRoomful } from "../../testing/src/index.ts";
import { clientFor, closeClients, enter, until } from "./server.ts";

let server: TestRoomful;
beforeAll(async () => {
  server = await startRoomful();
});
afterEach(closeClients);
afterAll(() => server?.stop());

let rooms = 0;

/** A room with a moderator and a member, both connected. */
async function moderated() {
  const name = `room-${++rooms}`;
  await server.api("PUT", `rooms/${name}`, { kind: "public" });
  await server.api("PUT", `rooms/${name}/members/ada`, { role: "moderator" });
  await server.api("PUT", `rooms/${name}/members/bob`, {});
  const [adas, bobs] = [clientFor(server, "ada"), clientFor(server, "bob")];
  const [ada, bob] = [await enter(adas, name), await enter(bobs, name)];
  await until(ada, ({ role }) => role === "moderator");
  await until(bob, ({ role }) => role === "member");
  return { name, ada, bob, bobs };
}

test("a role comes from the room or from the token, whichever is higher", async () => {
  const name = `room-${++rooms}`;
  await server.api("PUT", `rooms/${name}`, { kind: "public" });
  for (const [user, role] of [
    ["olga", "owner"],
    ["mia", "member"],
  ])
    await server.api("PUT", `rooms/${name}/members/${user}`, { role });
  for (const [user, role] of [
    ["olga", "owner"],
    ["mia", "moderator"],
  ] as const) {
    const token = async () => server.token(user, { roles: ["moderator"] });
    const room = await enter(clientFor(server, user, { token }), name);
    await until(room, (snapshot) => snapshot.role === role);
  }
});

test("a frozen room refuses messages, shows that it is frozen, and takes them after the thaw", async () => {
  const { ada, bob } = await moderated();
  await ada.moderate({ action: "freeze" });
  await until(bob, ({ restrictions }) => restrictions.frozen);
  await until(ada, ({ restrictions }) => restrictions.frozen);
  await expect(bob.send({ text: "hello?" }).sent).rejects.toMatchObject({ failure: { code: "forbidden" } });
  await ada.send({ text: "moderators may" }).sent;
  await ada.moderate({ action: "unfreeze" });
  await until(bob, ({ restrictions }) => !restrictions.frozen);
  await bob.send({ text: "thank you" }).sent;
});

test("a muted user learns until when and why, and writes again when the mute ends by itself", async () => {
  const { ada, bob } = await moderated();
  await bob.send({ text: "first" }).sent;
  const end = Date.now() + 5_000;
  await ada.moderate({ action: "mute", userId: "bob", until: end, reason: "too loud" });
  const { restrictions } = await until(bob, (snapshot) => snapshot.restrictions.muted !== undefined);
  expect(restrictions.muted).toEqual({ until: end, reason: "too loud" });
  await expect(bob.react(1, "👍")).rejects.toMatchObject({ failure: { code: "muted" } });
  await until(bob, (snapshot) => snapshot.restrictions.muted === undefined);
  await bob.send({ text: "second" }).sent;

  await ada.moderate({ action: "mute", userId: "bob" });
  await until(bob, (snapshot) => snapshot.restrictions.muted !== undefined);
  await ada.moderate({ action: "unmute", userId: "bob" });
  await until(bob, (snapshot) => snapshot.restrictions.muted === undefined);
});

test("a moderator sees whom all moderators have muted and banned, and when that ends", async () => {
  const { name, ada, bob } = await moderated();
  const of = (room: typeof ada, user = "bob") => room.getSnapshot().sanctions.get(user);
  await until(ada, () => of(ada)?.muted === false);
  await ada.moderate({ action: "mute", userId: "bob", until: Date.now() + 3_000 });
  await until(ada, () => of(ada)?.muted === true);
  expect(of(ada)).toEqual({ muted: true });
  await until(ada, () => of(ada)?.muted === false);
  await server.api("PUT", `rooms/${name}/bans/bob`, {});
  await until(ada, () => of(ada)?.banned === true);
  expect(of(ada)).toEqual({ muted: false, banned: true });
  expect(of(bob, "ada")).toBeUndefined();
  await ada.moderate({ action: "unban", userId: "bob" });
  await until(ada, () => of(ada)?.banned === false);
  // A moderator of the room cannot end a mute in all rooms.
  await server.api("PUT", "users/bob/mute", {});
  await server.api("PUT", `rooms/${name}/mutes/eve`, {});
  await until(ada, () => of(ada, "eve")?.muted === true);
  expect(of(ada)).toEqual({ muted: false, banned: false });
  await server.api("DELETE", "users/bob/mute");

  // Acts while the room is closed are unknown until the next list of members.
  ada.release();
  await until(ada, ({ joined }) => !joined);
  expect(ada.getSnapshot().sanctions.size).toBe(0);
  await server.api("PUT", `rooms/${name}/mutes/bob`, {});
  await ada.join();
  await until(ada, () => of(ada)?.muted === true);
  expect(of(bob, "ada")).toBeUndefined();
});

test("a user learns the restrictions in force after a join and after a reconnect", async () => {
  const { name, ada, bob, bobs } = await moderated();
  await ada.moderate({ action: "freeze" });
  await until(bob, ({ restrictions }) => restrictions.frozen);
  await bobs.close();
  const end = Date.now() + 3_000;
  await ada.moderate({ action: "mute", userId: "bob", until: end, reason: "loud" });
  await ada.moderate({ action: "slow_mode", seconds: 30 });
  await ada.moderate({ action: "unfreeze" });
  const ordered = { frozen: false, slowMode: 30, muted: { until: end, reason: "loud" } };
  const fresh = await enter(clientFor(server, "bob"), name);
  expect(fresh.getSnapshot()).toMatchObject({ role: "member", restrictions: ordered });
  bobs.connect();
  await until(bob, ({ joined }) => joined);
  expect(bob.getSnapshot()).toMatchObject({ role: "member", restrictions: ordered });
  await until(bob, ({ restrictions }) => restrictions.muted === undefined);
  await bob.send({ text: "one" }).sent;
  const third = await enter(clientFor(server, "bob"), name);
  expect(third.getSnapshot().restrictions.waitUntil).toBeGreaterThan(Date.now());
});

test("a recovered session learns of acts in between", async () => {
  const { name, ada, bob, bobs } = await moderated();
  await ada.moderate({ action: "freeze" });
  await until(bob, ({ restrictions }) => restrictions.frozen);
  server.faults.offline();
  await until(bobs.connection, ({ state }) => state === "offline");
  await server.api("PUT", `rooms/${name}`, { frozen: false, slowMode: 30 });
  await server.faults.heal();
  const { restrictions } = await until(bob, (snapshot) => !snapshot.restrictions.frozen && snapshot.joined);
  expect(restrictions.slowMode).toBe(30);
});

test("in slow mode, the client knows when the next message may go, and sends an early one then", async () => {
  const { ada, bob } = await moderated();
  await ada.moderate({ action: "slow_mode", seconds: 1 });
  await until(bob, ({ restrictions }) => restrictions.slowMode === 1);
  await bob.send({ text: "one" }).sent;
  await until(bob, ({ restrictions }) => restrictions.waitUntil !== undefined);
  await bob.send({ text: "two" }).sent;
  const { messages } = await until(ada, (snapshot) => snapshot.messages.length === 2);
  expect(messages.map(({ text }) => text)).toEqual(["one", "two"]);
  await until(bob, ({ restrictions }) => restrictions.waitUntil === undefined);
  await ada.moderate({ action: "slow_mode", seconds: 0 });
  await until(bob, ({ restrictions }) => restrictions.slowMode === 0);
});

test("a banned user loses the room, learns why and until when, and can return afterwards", async () => {
  const { name, ada, bob, bobs } = await moderated();
  await until(bobs.inbox, (inbox) => inbox.rooms.some(({ room }) => room === name));
  const end = Date.now() + 5_000;
  const removed = new Promise((resolve) => bobs.on("roomRemoved", resolve));
  await ada.moderate({ action: "ban", userId: "bob", until: end, reason: "spam" });
  const banned = await until(bob, (snapshot) => snapshot.error?.code === "banned");
  expect(banned.restrictions.banned).toEqual({ until: end, reason: "spam" });
  expect(await removed).toEqual({ room: name, reason: "banned" });
  await until(bobs.inbox, (inbox) => inbox.rooms.every(({ room }) => room !== name));
  await until(bob, ({ restrictions }) => restrictions.banned === undefined);
  await until(bob, ({ joined, error }) => joined && error === undefined);
});

test("a moderator deletes all messages of a member, and cannot act on an owner", async () => {
  const { name, ada, bob } = await moderated();
  for (const text of ["spam 1", "spam 2"]) await bob.send({ text }).sent;
  expect(await ada.moderate({ action: "delete_messages", userId: "bob" })).toMatchObject({ deleted: 2 });
  await until(bob, ({ messages }) => messages.length === 2 && messages.every(({ deleted }) => deleted));
  await server.api("PUT", `rooms/${name}/members/olga`, { role: "owner" });
  await expect(ada.moderate({ action: "mute", userId: "olga" })).rejects.toMatchObject({
    failure: { code: "forbidden" },
  });
  await expect(bob.moderate({ action: "freeze" })).rejects.toMatchObject({
    failure: { code: "forbidden" },
  });
});
