// The code of the documentation for the stock client, run as written against a real server.

import assert from "node:assert/strict";
import { readFileSync } from "node:fs";
import { join } from "node:path";
import { after, afterEach, before, test } from "node:test";

import { io } from "socket.io-client";

import { done, leaveAll, member, person } from "./lib/people.mjs";
import { API_KEY, ROOT, Roomful } from "./lib/process.mjs";
import { tokenFor } from "./lib/token.mjs";
import { next, until } from "./lib/waiting.mjs";

const AsyncFunction = (async () => {}).constructor;

let server;
const opened = [];
before(async () => {
  // Without recovery, each connection has to catch up by itself.
  server = await Roomful.start({ env: { ROOMFUL_LIMITS: "off", ROOMFUL__RECOVERY__WINDOW: "0s" } });
});
afterEach(() => {
  leaveAll();
  for (const socket of opened.splice(0)) socket.disconnect();
});
after(() => server.stop());

/** The block of a page that contains `words`. */
function block(page, words) {
  const text = readFileSync(join(ROOT, page), "utf8");
  const blocks = [...text.matchAll(/```js\n(.*?)\n```/gs)].map(([, code]) => code);
  const code = blocks.find((one) => one.includes(words));
  assert.ok(code, `${page} has code with ${words}`);
  return code;
}

/** Runs a block with `names` as the reader's own code; resolves to the variables that it `returns`. */
function execute(code, names, returns = "") {
  const statements = code.replace(/^import .*$/gm, "").replace(/^export /gm, "");
  const body = `${statements}\nreturn {${returns}};`;
  return new AsyncFunction(...Object.keys(names), body)(...Object.values(names));
}

/** The library's `io`, for addresses and options as in the documentation, but with this test's server. */
function connect(_url, options) {
  const socket = io(server.url, { ...options, forceNew: true });
  opened.push(socket);
  return socket;
}

/** A socket whose requests all have to succeed. */
const strict = (socket) => ({ on: socket.on.bind(socket), emitWithAck: strictly(socket) });
const strictly =
  (socket) =>
  async (...request) => {
    const ack = await socket.emitWithAck(...request);
    assert.equal(ack.ok, true, JSON.stringify([request, ack]));
    return ack;
  };

test("README: a first chat shows messages and sends them", async () => {
  const lines = [];
  const names = {
    io: connect,
    fetchToken: async () => tokenFor("bob"),
    console: { log: (...line) => lines.push(line) },
  };
  const { socket, send } = await execute(block("README.md", "chat:receive_message"), names, "socket, send");
  await next(socket, "session");
  await until(() => lines.length > 0, "the join's answer");
  const { ok, data } = await send("hello");
  assert.equal(ok, true);
  const shown = ([seq, user, text]) => seq === data.seq && user === "bob" && text === "hello";
  await until(() => lines.some(shown), "the message");
});

test("events: the client of the documentation holds every entry, over pages and live ones", async () => {
  const code = block("docs/events.md", "export function follow");
  const { follow } = await execute(code, { io: connect }, "follow");
  const room = "log";
  const alice = await member(server, "alice", room);
  const say = (text) => done(alice, "chat:send_message", { room, text });
  await say("first");

  const shown = [];
  const hooks = { show: (entry) => shown.push(entry.logSeq ?? entry.seq), clear: () => (shown.length = 0) };
  const bob = follow(server.url, async () => tokenFor("bob"), room, hooks);
  const upto = (head) => until(() => shown.at(-1) === head, `entry ${head}; shown: ${shown.slice(-5)}`);
  await upto(1);
  await say("live");
  await upto(2);

  bob.disconnect();
  for (let n = 0; n < 240; n += 1) await say(`missed ${n}`);
  await done(alice, "chat:edit_message", { room, seq: 1, text: "first!" });
  await done(alice, "chat:react", { room, seq: 2, emoji: "+1" });
  bob.connect();
  // Entries that arrive while the pages do.
  for (let n = 0; n < 30; n += 1) await say(`meanwhile ${n}`);
  await upto(274);
  assert.deepEqual(
    shown,
    Array.from({ length: 274 }, (_, n) => n + 1),
  );
});

test("events: a request is answered with ok and data", async () => {
  const socket = await member(server, "alice", "lobby");
  const code = block("docs/events.md", "const { ok, data, error }");
  const { ok, data } = await execute(code, { socket }, "ok, data");
  assert.equal(ok, true);
  assert.equal(typeof data.seq, "number");
});

test("events: after an expired token, the client connects with a fresh one", async () => {
  const tokens = [tokenFor("alice", { exp: 1_000_000 }), tokenFor("alice")];
  const fetchToken = async () => tokens.shift();
  const names = { io: connect, url: server.url, fetchToken, Math: { random: () => 0 } };
  const { socket } = await execute(block("docs/events.md", 'on("connect_error"'), names, "socket");
  await next(socket, "session");
  assert.deepEqual(tokens, []);
});

test("recovery: a client without its session asks for the rooms that it knows", async () => {
  const { epoch } = (await member(server, "alice", "lobby")).joined;
  const socket = connect(server.url, { auth: { token: tokenFor("alice") }, autoConnect: false });
  const answers = [];
  const watched = {
    on: (event, handler) => socket.on(event, handler.bind(undefined)),
    get recovered() {
      return socket.recovered;
    },
    emitWithAck: async (...request) => answers.push(await strictly(socket)(...request)),
  };
  const known = [{ room: "lobby", epoch, since: 0 }];
  await execute(block("docs/recovery.md", "socket.recovered"), { socket: watched, known });
  socket.connect();
  await until(() => answers.length > 0, "the answer to chat:sync");
});

test("presence: a list of the room's users, a list of friends, and a status", async () => {
  const [alice, bob] = [await member(server, "alice", "lobby"), await person(server, "bob")];
  const { online } = await execute(
    block("docs/guide-presence.md", "const online"),
    { socket: strict(alice) },
    "online",
  );
  await done(bob, "chat:join", "lobby");
  await until(() => online.has("alice") && online.has("bob"), () => `both users; online: ${[...online]}`);

  const statuses = [];
  const show = (...status) => statuses.push(status);
  await execute(block("docs/guide-presence.md", "presence:subscribe"), { socket: strict(alice), show });
  await execute(block("docs/guide-presence.md", "presence:set_status"), { socket: strict(bob) });
  await until(
    () => statuses.some(([user, status, text]) => user === "bob" && status === "away" && text),
    () => `bob's status; seen: ${JSON.stringify(statuses)}`,
  );
});

test("notifications: a device with a name", async () => {
  const fetchToken = async () => tokenFor("alice");
  const names = { url: server.url, fetchToken, localStorage: { deviceId: "phone" } };
  const [socket] = await new Promise((resolve) => {
    const io = (...where) => resolve([connect(...where)]);
    void execute(block("docs/guide-notifications.md", "deviceId"), { ...names, io });
  });
  await next(socket, "session");
});

test("moderation: every act of the guide", async () => {
  const [mona, mallory] = [await member(server, "mona", "lobby"), await member(server, "mallory", "lobby")];
  const answer = await fetch(`${server.url}/api/v1/rooms/lobby/members/mona`, {
    method: "PUT",
    headers: { authorization: `Bearer ${API_KEY}`, "content-type": "application/json" },
    body: JSON.stringify({ role: "moderator" }),
  });
  assert.ok(answer.ok, await answer.text());
  for (let n = 0; n < 17; n += 1)
    await done(mallory, "chat:send_message", { room: "lobby", text: `spam ${n}` });

  const page = "docs/guide-moderation.md";
  const [seen, left] = [[], []];
  const names = { show: (...act) => seen.push(act), leave: (...why) => left.push(why) };
  await execute(block(page, "chat:report"), { socket: strict(mona) });
  await execute(block(page, 'action: "slow_mode"'), { socket: strict(mona) });
  // Mallory listens with the same code; she may not ban herself.
  const deaf = { on: mallory.on.bind(mallory), emitWithAck: async () => ({ ok: false }) };
  await execute(block(page, 'action: "ban"'), { socket: deaf, ...names });
  const { data } = await execute(block(page, 'action: "ban"'), { socket: strict(mona), ...names }, "data");
  assert.equal(data.userId, "mallory");
  await until(() => left.length > 0, "the end of mallory's membership");
  assert.deepEqual(left, [["lobby", "banned"]]);
  await until(() => seen.some(([action, user]) => action === "ban" && user === "mallory"), "the ban");
  await execute(block(page, 'action: "delete_messages"'), { socket: strict(mona) });
  const blocks = await execute(block(page, "user:block"), { socket: strict(mona) }, "data");
  assert.deepEqual(blocks.data.users, ["mallory"]);
});
