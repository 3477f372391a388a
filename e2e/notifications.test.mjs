// Notifications with the stock socket.io-client: a backend posts them over HTTP, and every device of the
// user gets each one once, now or when it reconnects.

import assert from "node:assert/strict";
import { after, afterEach, before, test } from "node:test";

import { call, done, heard, leaveAll, person } from "./lib/people.mjs";
import { API_KEY, Roomful } from "./lib/process.mjs";
import { tokenFor } from "./lib/token.mjs";
import { until } from "./lib/waiting.mjs";

let server;
before(async () => {
  server = await Roomful.start();
});
afterEach(leaveAll);
after(() => server?.stop());

async function post(notification, key = API_KEY) {
  const headers = { authorization: `Bearer ${key}`, "content-type": "application/json" };
  const body = JSON.stringify({ kind: "mention", body: "in the lobby", ...notification });
  const answer = await fetch(`${server.url}/api/v1/notifications`, { method: "POST", headers, body });
  return { status: answer.status, ...(await answer.json()) };
}

/** Connects a device of a user. */
const on = (user, device) => person(server, user, { auth: { token: tokenFor(user), device } });

/** Disconnects a device and waits until the server reports its user as offline. */
async function leave(socket, user) {
  socket.disconnect();
  const headers = { authorization: `Bearer ${API_KEY}` };
  const devices = async () =>
    (await (await fetch(`${server.url}/api/v1/users/${user}`, { headers })).json()).devices;
  await until(async () => (await devices()).length === 0, `${user} to be gone`);
}

/** The title of the device's next notification. */
const given = async (socket) => (await heard(socket, "notification:receive")).title;

/** Fails if another notification has arrived or is in transit: it would come before the one posted here. */
async function nothingElse(socket, user) {
  const { id } = await post({ userIds: [user], title: "the last one" });
  await heard(socket, "notification:receive", (notice) => notice.id === id);
  const others = socket.seen
    .filter(({ event }) => event === "notification:receive")
    .map(({ payload }) => payload.title);
  assert.deepEqual(others, []);
}

test("all devices of its users get a notification live, and no other user does", async () => {
  const devices = [await on("ann", "phone"), await on("ann", "tablet"), await on("ben", "phone")];
  const stranger = await on("cat", "phone");
  const answer = await post({ userIds: ["ann", "ben"], title: "hello", data: { room: "lobby" } });
  assert.equal(answer.status, 201);
  assert.equal(answer.duplicate, false);
  for (const device of devices) {
    const notice = await heard(device, "notification:receive");
    assert.deepEqual(notice, {
      id: answer.id,
      kind: "mention",
      title: "hello",
      body: "in the lobby",
      data: { room: "lobby" },
      at: answer.at,
    });
  }
  await nothingElse(stranger, "cat");
  await nothingElse(devices[0], "ann");
});

test("each device gets missed notifications once, on connect, also after a server crash", async () => {
  let phone = await on("dan", "phone");
  await post({ userIds: ["dan"], title: "one" });
  assert.equal(await given(phone), "one");
  await leave(phone, "dan");
  await post({ userIds: ["dan"], title: "two" });
  await post({ userIds: ["dan"], title: "three" });
  await server.end("SIGTERM");
  await server.restart();

  phone = await on("dan", "phone");
  assert.deepEqual([await given(phone), await given(phone)], ["two", "three"]);
  const tablet = await on("dan", "tablet");
  assert.deepEqual([await given(tablet), await given(tablet), await given(tablet)], ["one", "two", "three"]);
  await nothingElse(phone, "dan");
  assert.equal(await given(tablet), "the last one");
  phone.disconnect();
  phone = await on("dan", "phone");
  await nothingElse(phone, "dan");
});

test("a repeated post under one id is delivered once; different content under it is a conflict", async () => {
  const phone = await on("eva", "phone");
  const notification = { userIds: ["eva"], title: "parcel", id: "parcel-7" };
  const first = await post(notification);
  const again = await post(notification);
  assert.deepEqual(
    [first.status, first.duplicate, again.status, again.duplicate, again.at],
    [201, false, 201, true, first.at],
  );
  assert.equal(await given(phone), "parcel");
  const other = await post({ ...notification, title: "another parcel" });
  assert.deepEqual([other.status, other.error.code], [409, "conflict"]);
  await nothingElse(phone, "eva");
  assert.equal((await post(notification, "not the key")).status, 401);
});

test("notifications are listed, read and counted over all devices", async () => {
  const phone = await on("fay", "phone");
  const tablet = await on("fay", "tablet");
  const ids = [];
  for (const title of ["one", "two", "three"]) ids.push((await post({ userIds: ["fay"], title })).id);
  const all = await done(phone, "notification:list", {});
  assert.deepEqual(
    all.notifications.map(({ title }) => title),
    ["three", "two", "one"],
  );
  assert.deepEqual([all.unread, all.more], [3, false]);
  const older = await done(phone, "notification:list", { limit: 1, before: ids[2] });
  assert.deepEqual([older.notifications.map(({ id }) => id), older.more], [[ids[1]], true]);

  assert.deepEqual(await done(phone, "notification:read", { id: ids[1] }), { unread: 2 });
  assert.deepEqual(await heard(tablet, "notification:unread"), { unread: 2 });
  // Reading it again does not lower the count.
  assert.deepEqual(await done(tablet, "notification:read", { id: ids[1] }), { unread: 2 });
  const left = await done(tablet, "notification:list", { unreadOnly: true });
  assert.deepEqual(
    left.notifications.map(({ id }) => id),
    [ids[2], ids[0]],
  );
  const read = (await done(tablet, "notification:list", {})).notifications[1];
  assert.equal(typeof read.readAt, "number");

  assert.deepEqual(await done(tablet, "notification:read", { all: true }), { unread: 0 });
  await heard(phone, "notification:unread", ({ unread }) => unread === 0);
  assert.equal((await done(phone, "notification:list", {})).unread, 0);
  const unknown = await call(phone, "notification:read", { id: "no-such-id" });
  assert.equal(unknown.error.code, "not_found");
  const ofOthers = await call(await on("gus", "phone"), "notification:read", { id: ids[0] });
  assert.equal(ofOthers.error.code, "not_found", "somebody else's notification");
});
