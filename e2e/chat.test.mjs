// The contract's events: the stock socket.io-client against the real binary.

import assert from "node:assert/strict";
import { after, afterEach, before, describe, test } from "node:test";

import { call, done, heard, leaveAll, member, person, stranger } from "./lib/people.mjs";
import { Roomful } from "./lib/process.mjs";
import { tokenFor } from "./lib/token.mjs";
import { next, sleep } from "./lib/waiting.mjs";

let server;
before(async () => {
  // Short times, so that the tests can watch typing and the grace end.
  const env = {
    ROOMFUL__PRESENCE__GRACE: "300ms",
    ROOMFUL__TYPING__INTERVAL: "400ms",
    ROOMFUL__TYPING__TIMEOUT: "1200ms",
    ROOMFUL__AUTH__LEEWAY: "1s",
  };
  server = await Roomful.start({ env });
});
afterEach(leaveAll);
after(() => server?.stop());

let rooms = 0;
/** A new room for each test. */
const fresh = () => `room-${++rooms}`;

function assertError(answer, code, retryable = false) {
  assert.equal(answer.ok, false, JSON.stringify(answer));
  assert.equal(answer.error.code, code);
  assert.equal(answer.error.retryable, retryable);
  assert.ok(answer.error.message.length > 0);
}

describe("connecting", () => {
  for (const [way, options] of Object.entries({
    websocket: { transports: ["websocket"] },
    polling: { transports: ["polling"] },
    upgrade: { transports: ["polling", "websocket"] },
  })) {
    test(`a token opens a session over ${way}`, async () => {
      const started = Date.now();
      const { session } = await person(server, "alice", options);
      assert.equal(session.userId, "alice");
      assert.equal(typeof session.sessionId, "string");
      assert.equal(session.recovered, false);
      assert.ok(Math.abs(session.serverTime - started) < 60_000);
      assert.equal(typeof session.limits, "object");
    });
  }

  for (const [name, auth, code] of [
    ["no token", {}, "unauthorized"],
    [
      "a token by another key",
      { token: tokenFor("alice", {}, "another secret, at least 32 bytes") },
      "unauthorized",
    ],
    ["a token that is no JWT", { token: "let me in" }, "unauthorized"],
    ["an expired token", { token: tokenFor("alice", { exp: 1_000_000_000 }) }, "token_expired"],
    ["a token without exp", { token: tokenFor("alice", { exp: undefined }) }, "unauthorized"],
  ]) {
    test(`${name} is refused with ${code}`, async () => {
      const socket = stranger(server, auth);
      const [error] = await next(socket, "connect_error");
      assert.equal(error.data.code, code);
      assert.equal(error.data.retryable, false);
      assert.equal(typeof error.data.message, "string");
    });
  }

  test("a live socket ends when its token expires", async () => {
    const exp = Math.floor(Date.now() / 1000) + 2;
    const socket = await person(server, "brief", { claims: { exp }, reconnection: false });
    await next(socket, "disconnect");
    assert.ok(Date.now() >= exp * 1000, "closed before its time");
    assert.ok(Date.now() < exp * 1000 + 6000, "closed long after its time");
  });

  test("a fresh token keeps it alive, another user's token does not", async () => {
    const exp = Math.floor(Date.now() / 1000) + 2;
    const socket = await person(server, "lasting", { claims: { exp }, reconnection: false });
    assertError(await call(socket, "token:refresh", { token: tokenFor("somebody-else") }), "unauthorized");
    await done(socket, "token:refresh", { token: tokenFor("lasting") });
    await sleep(exp * 1000 + 2500 - Date.now());
    assert.equal(socket.connected, true);
    await done(socket, "chat:join", { room: fresh() });
  });
});

describe("rooms and messages", () => {
  test("two people join, send and receive", async () => {
    const room = fresh();
    const alice = await member(server, "alice", room);
    const { joined } = alice;
    assert.equal(joined.room, room);
    assert.equal(typeof joined.epoch, "string");
    const { head, messages, more, reset, readSeq, deliveredSeq, unread } = joined;
    assert.deepEqual(
      { head, messages, more, reset, readSeq, deliveredSeq, unread },
      { head: 0, messages: [], more: false, reset: false, readSeq: 0, deliveredSeq: 0, unread: 0 },
    );
    const bob = await member(server, "bob", room);
    assert.equal((await heard(alice, "chat:member_joined")).userId, "bob");

    const sent = await done(alice, "chat:send_message", {
      room,
      text: "hello, grüße 👩‍🚀",
      clientId: "c-1",
      mentions: ["bob"],
      metadata: { mood: ["good"] },
    });
    assert.deepEqual({ ...sent, id: 0, at: 0 }, { id: 0, room, seq: 1, at: 0, duplicate: false });
    for (const socket of [alice, bob]) {
      const message = await heard(socket, "chat:receive_message");
      assert.equal(message.id, sent.id);
      assert.equal(message.at, sent.at);
      assert.equal(message.text, "hello, grüße 👩‍🚀");
      assert.deepEqual(
        [message.room, message.seq, message.userId, message.name],
        [room, 1, "alice", "alice"],
      );
      assert.deepEqual(
        [message.clientId, message.mentions, message.metadata],
        ["c-1", ["bob"], { mood: ["good"] }],
      );
    }
    const reply = await done(bob, "chat:send_message", { room, text: "and back", replyTo: 1 });
    assert.equal(reply.seq, 2);
    assert.equal((await heard(alice, "chat:receive_message", (m) => m.seq === 2)).replyTo, 1);
  });

  test("the room can be a bare string", async () => {
    const room = fresh();
    const alice = await person(server, "alice");
    assert.equal((await done(alice, "chat:join", room)).room, room);
    assert.deepEqual(
      (await done(alice, "chat:get_online_users", room)).users.map((user) => user.userId),
      ["alice"],
    );
    assert.equal((await done(alice, "chat:leave", room)).room, room);
  });

  test("every socket sees the messages of many senders in the same order, without holes", async () => {
    const room = fresh();
    const people = await Promise.all(["a", "b", "c"].map((user) => member(server, user, room)));
    const sends = people.flatMap((socket, who) =>
      Array.from({ length: 10 }, (_, i) =>
        done(socket, "chat:send_message", { room, text: `${who}-${i}` }),
      ),
    );
    const acks = await Promise.all(sends);
    assert.deepEqual(
      acks.map((ack) => ack.seq).sort((a, b) => a - b),
      Array.from({ length: 30 }, (_, i) => i + 1),
    );
    const views = [];
    for (const socket of people) {
      await heard(socket, "chat:receive_message", (message) => message.seq === 30);
      const seen = socket.seen
        .filter((one) => one.event === "chat:receive_message")
        .map((one) => one.payload);
      assert.deepEqual(
        seen.map((message) => message.seq),
        Array.from({ length: 29 }, (_, i) => i + 1),
      );
      views.push(seen.map((message) => message.text));
    }
    assert.deepEqual(views[1], views[0]);
    assert.deepEqual(views[2], views[0]);
  });

  test("a retry with the same clientId gets the first answer and is stored once", async () => {
    const room = fresh();
    const alice = await member(server, "alice", room);
    const bob = await member(server, "bob", room);
    const message = { room, text: "once", clientId: "retry-1" };
    const first = await done(alice, "chat:send_message", message);
    const again = await done(alice, "chat:send_message", message);
    assert.deepEqual(again, { ...first, duplicate: true });
    assertError(await call(alice, "chat:send_message", { ...message, text: "twice" }), "conflict");
    // A clientId belongs to its user: another user can use the same one.
    const other = await done(bob, "chat:send_message", message);
    assert.deepEqual([other.seq, other.duplicate], [2, false]);
    const { messages } = await done(alice, "chat:get_history", { room });
    assert.deepEqual(
      messages.map(({ seq, userId, text }) => [seq, userId, text]),
      [
        [1, "alice", "once"],
        [2, "bob", "once"],
      ],
    );
  });

  test("history has pages in both directions", async () => {
    const room = fresh();
    const alice = await member(server, "alice", room);
    for (let i = 1; i <= 25; i++) await done(alice, "chat:send_message", { room, text: `m${i}` });
    const seqs = async (span) => {
      const { messages, more } = await done(alice, "chat:get_history", { room, ...span });
      return [messages.map((message) => message.seq), more];
    };
    assert.deepEqual(await seqs({ limit: 3 }), [[23, 24, 25], true]);
    assert.deepEqual(await seqs({ before: 3 }), [[1, 2], false]);
    assert.deepEqual(await seqs({ before: 23, limit: 2 }), [[21, 22], true]);
    assert.deepEqual(await seqs({ after: 22 }), [[23, 24, 25], false]);
    assert.deepEqual(await seqs({ after: 0, limit: 2 }), [[1, 2], true]);
    assert.equal((await seqs({ limit: 5000 }))[0].length, 25);
  });

  test("a join with since catches up; with another epoch it answers reset", async () => {
    const room = fresh();
    const alice = await member(server, "alice", room);
    for (let i = 1; i <= 5; i++) await done(alice, "chat:send_message", { room, text: `m${i}` });
    const bob = await person(server, "bob");
    const { epoch, ...late } = await done(bob, "chat:join", { room, since: 2, epoch: alice.joined.epoch });
    assert.deepEqual(
      late.messages.map((message) => message.seq),
      [3, 4, 5],
    );
    assert.deepEqual([late.head, late.more, late.reset, epoch], [5, false, false, alice.joined.epoch]);
    const page = await done(bob, "chat:join", { room, since: 0, limit: 2 });
    assert.deepEqual([page.messages.map((message) => message.seq), page.more], [[1, 2], true]);
    const reset = await done(bob, "chat:join", { room, since: 2, epoch: "another-epoch" });
    assert.equal(reset.reset, true);
  });

  test("a user who leaves does so on all devices and gets no more messages", async () => {
    const room = fresh();
    const alice = await member(server, "alice", room);
    const phone = await member(server, "bob", room);
    const laptop = await member(server, "bob", room);
    await done(laptop, "chat:leave", { room });
    assert.equal((await heard(alice, "chat:member_left")).userId, "bob");
    await done(alice, "chat:send_message", { room, text: "are you gone?" });
    for (const socket of [phone, laptop]) {
      assertError(await call(socket, "chat:send_message", { room, text: "still here" }), "forbidden");
      assert.ok(!socket.seen.some((one) => one.event === "chat:receive_message"));
    }
  });

  test("a token with patterns opens only matching rooms", async () => {
    const alice = await person(server, "alice", { claims: { rooms: ["team-*", "dm:alice:*"] } });
    await done(alice, "chat:join", { room: "team-red" });
    await done(alice, "chat:join", { room: "dm:alice:bob" });
    assertError(await call(alice, "chat:join", { room: "dm:bob:alice" }), "forbidden");
    assertError(await call(alice, "chat:get_history", { room: "secret" }), "forbidden");
  });
});

describe("typing, marks and presence", () => {
  test("typing is debounced, and ends by itself, with a stop, and with a message", async () => {
    const room = fresh();
    const alice = await member(server, "alice", room);
    const bob = await member(server, "bob", room);
    for (let i = 0; i < 5; i++) await done(alice, "chat:typing_start", { room });
    assert.deepEqual(await heard(bob, "chat:typing_start"), { room, userId: "alice" });
    assert.deepEqual(await heard(bob, "chat:typing_stop"), { room, userId: "alice" });
    assert.ok(!bob.seen.some((one) => one.event === "chat:typing_start"), "five starts at once are one");

    await done(alice, "chat:typing_start", room);
    await heard(bob, "chat:typing_start");
    await done(alice, "chat:typing_stop", room);
    await heard(bob, "chat:typing_stop", undefined, 900);

    await sleep(450);
    await done(alice, "chat:typing_start", room);
    await heard(bob, "chat:typing_start");
    await done(alice, "chat:send_message", { room, text: "written" });
    await heard(bob, "chat:typing_stop", undefined, 900);
    assert.ok(
      !alice.seen.some((one) => one.event.startsWith("chat:typing")),
      "one does not hear oneself type",
    );
  });

  test("a read mark grows, updates the unread count, and reaches the others", async () => {
    const room = fresh();
    const alice = await member(server, "alice", room);
    const bob = await member(server, "bob", room);
    for (let i = 1; i <= 5; i++) await done(alice, "chat:send_message", { room, text: `m${i}` });
    const mark = await done(bob, "chat:message_read", { room, seq: 3 });
    assert.deepEqual(mark, { room, readSeq: 3, unread: 2, mentions: 0 });
    const told = await heard(alice, "chat:message_read", (read) => read.userId === "bob");
    assert.deepEqual([told.room, told.userId, told.seq], [room, "bob", 3]);
    assert.equal(typeof told.at, "number");
    assert.deepEqual(await done(bob, "chat:message_read", { room, seq: 1 }), {
      room,
      readSeq: 3,
      unread: 2,
      mentions: 0,
    });
    assert.deepEqual(await done(bob, "chat:message_read", { room, seq: 5 }), {
      room,
      readSeq: 5,
      unread: 0,
      mentions: 0,
    });
    const again = await done(bob, "chat:join", { room });
    assert.deepEqual([again.readSeq, again.unread], [5, 0]);
  });

  test("several devices are one user, and a reload does not go offline", async () => {
    const room = fresh();
    const alice = await member(server, "alice", room);
    const phone = await member(server, "bob", room);
    await heard(alice, "presence:online", ({ userId }) => userId === "bob");
    const laptop = await member(server, "bob", room);
    const { users } = await done(alice, "chat:get_online_users", { room });
    assert.deepEqual(users.map((user) => user.userId).sort(), ["alice", "bob"]);
    assert.deepEqual(
      (await heard(alice, "chat:online_users")).users.map((user) => user.status),
      ["online", "online"],
    );

    phone.disconnect();
    laptop.disconnect();
    const back = await member(server, "bob", room);
    await sleep(600);
    assert.ok(
      !alice.seen.some((one) => one.event === "presence:offline"),
      "a reload was announced as offline",
    );
    back.disconnect();
    const gone = await heard(alice, "presence:offline", ({ userId }) => userId === "bob");
    assert.equal(typeof gone.lastSeen, "number");
    const after = await done(alice, "chat:get_online_users", { room });
    assert.deepEqual(
      after.users.map((user) => user.userId),
      ["alice"],
    );
  });

  test("a subscription reports users without a common room", async () => {
    const alice = await person(server, "alice");
    const { users } = await done(alice, "presence:subscribe", { users: ["carol"] });
    assert.deepEqual(users, [{ userId: "carol", status: "offline", lastSeen: null }]);
    const carol = await person(server, "carol");
    const { at } = await heard(alice, "presence:online", ({ userId }) => userId === "carol");
    assert.equal(typeof at, "number");
    carol.disconnect();
    await heard(alice, "presence:offline", ({ userId }) => userId === "carol");
    await done(alice, "presence:unsubscribe", { users: ["carol"] });
    await person(server, "carol");
    await done(alice, "chat:join", { room: fresh() });
    assert.ok(!alice.seen.some((one) => one.event === "presence:online" && one.payload.userId === "carol"));
  });
});

describe("errors", () => {
  test("a status reaches room members and subscribers; invisible users look offline to others", async () => {
    const room = fresh();
    const alice = await member(server, "alice", room);
    const bob = await member(server, "bob", room);
    await heard(alice, "presence:online", ({ userId }) => userId === "bob");
    const phone = await person(server, "bob");
    const follower = await person(server, "follower");
    await done(follower, "presence:subscribe", { users: ["bob"] });
    assert.deepEqual(await done(bob, "presence:set_status", { status: "busy", text: "Deep work" }), {});
    for (const socket of [alice, follower, phone]) {
      assert.deepEqual(await heard(socket, "presence:status"), {
        userId: "bob",
        status: "busy",
        text: "Deep work",
      });
    }
    const { users } = await done(alice, "chat:get_online_users", { room });
    const listed = users.find(({ userId }) => userId === "bob");
    assert.deepEqual([listed.status, listed.text], ["busy", "Deep work"]);

    await done(phone, "presence:set_status", { status: "invisible" });
    const { lastSeen } = await heard(alice, "presence:offline", ({ userId }) => userId === "bob");
    assert.deepEqual((await done(follower, "presence:subscribe", { users: ["bob"] })).users, [
      { userId: "bob", status: "offline", lastSeen },
    ]);
    assert.equal((await done(bob, "presence:subscribe", { users: ["bob"] })).users[0].status, "invisible");
    assert.equal((await done(alice, "chat:join", { room })).online, 1);
    await done(bob, "presence:set_status", { status: "online" });
    await heard(alice, "presence:online", ({ userId }) => userId === "bob");
    assertError(await call(bob, "presence:set_status", { status: "asleep" }), "invalid_request");
    assertError(
      await call(bob, "presence:set_status", { status: "away", text: "x".repeat(101) }),
      "payload_too_large",
    );
  });

  test("a failure comes in the ack, or as the event error without an ack", async () => {
    const alice = await person(server, "alice");
    const bad = { room: fresh(), text: "not a member" };
    assertError(await call(alice, "chat:send_message", bad), "forbidden");
    alice.emit("chat:send_message", bad);
    const error = await heard(alice, "error");
    assert.deepEqual([error.code, error.retryable, error.event], ["forbidden", false, "chat:send_message"]);
    assertError(await call(alice, "chat:join", {}), "invalid_request");
    assertError(await call(alice, "chat:no_such_event"), "invalid_request");
    assertError(await call(alice, "__proto__", {}), "invalid_request");
  });

  test("a text over the limit is refused, one at the limit is not", async () => {
    const room = fresh();
    const alice = await member(server, "alice", room);
    const large = { room, text: "x".repeat(16 * 1024 + 1) };
    assertError(await call(alice, "chat:send_message", large), "payload_too_large");
    assert.equal((await done(alice, "chat:send_message", { room, text: "x".repeat(16 * 1024) })).seq, 1);
  });

  test("a flood is rate limited and told when to retry", async () => {
    const room = fresh();
    const alice = await member(server, "flooder", room);
    const answers = await Promise.all(
      Array.from({ length: 100 }, (_, i) => call(alice, "chat:send_message", { room, text: `m${i}` })),
    );
    const limited = answers.filter((answer) => !answer.ok);
    assert.ok(limited.length >= 20, `${limited.length} of 100 were limited`);
    for (const answer of limited) {
      assertError(answer, "rate_limited", true);
      assert.ok(answer.error.retryAfterMs > 0);
    }
    await sleep(Math.max(...limited.map((answer) => answer.error.retryAfterMs)) + 50);
    await done(alice, "chat:send_message", { room, text: "patient" });
  });

  test("the server accepts a client's error event", async () => {
    const alice = await person(server, "alice");
    alice.emit("error", { message: "the page broke \u001b[31m" });
    await done(alice, "chat:join", { room: fresh() });
  });
});

describe("across a restart", () => {
  test("clients reconnect by themselves, and every message is still there", async () => {
    const own = await Roomful.start();
    try {
      const alice = await member(own, "alice", "lobby");
      for (let i = 1; i <= 5; i++)
        await done(alice, "chat:send_message", { room: "lobby", text: `m${i}`, clientId: `c${i}` });
      await done(alice, "chat:message_read", { room: "lobby", seq: 4 });
      const back = next(alice, "session");
      const lost = next(alice, "disconnect");
      const { code } = await own.end("SIGTERM");
      assert.equal(code, 0, own.log());
      const [reason] = await lost;
      assert.equal(alice.active, true, `the client gave up: ${reason}`);
      await own.restart();
      await back;
      const joined = await done(alice, "chat:join", { room: "lobby", since: 2, epoch: alice.joined.epoch });
      assert.deepEqual(
        joined.messages.map((message) => [message.seq, message.text]),
        [
          [3, "m3"],
          [4, "m4"],
          [5, "m5"],
        ],
      );
      assert.deepEqual([joined.reset, joined.readSeq], [false, 4]);
      const again = await done(alice, "chat:send_message", { room: "lobby", text: "m5", clientId: "c5" });
      assert.deepEqual([again.seq, again.duplicate], [5, true]);
      assert.equal((await done(alice, "chat:send_message", { room: "lobby", text: "m6" })).seq, 6);
    } finally {
      await own.stop();
    }
  });
});

describe("what a client learns", () => {
  test("a client that refreshes its token at token:expiring keeps its connection", async () => {
    const exp = Math.floor(Date.now() / 1000) + 3;
    const alice = await person(server, "alice", { claims: { exp } });
    assert.equal(alice.session.expiresAt, exp * 1000);
    assert.deepEqual(await heard(alice, "token:expiring"), { expiresAt: exp * 1000 });
    const { expiresAt } = await done(alice, "token:refresh", { token: tokenFor("alice") });
    assert.ok(expiresAt > exp * 1000);
    // The first token and its leeway end, and the connection works on.
    await sleep(exp * 1000 + 1500 - Date.now());
    await done(alice, "session:ping", {});
    assert.deepEqual(
      alice.seen.filter(({ event }) => event === "session:ended"),
      [],
    );
  });

  test("a member's socket that is not subscribed to the room gets its unread counts", async () => {
    const room = fresh();
    const [alice, desk] = await Promise.all(["alice", "bob"].map((user) => member(server, user, room)));
    const phone = await person(server, "bob");
    await done(alice, "chat:send_message", { room, text: "hi", mentions: ["bob"] });
    const first = await heard(phone, "chat:unread");
    assert.deepEqual(
      [first.unread, first.mentions, first.head, first.lastMessage.text, first.cause],
      [1, 1, 1, "hi", "message"],
    );
    await done(desk, "chat:message_read", { room, seq: 1 });
    const second = await heard(phone, "chat:unread");
    assert.deepEqual([second.unread, second.cause], [0, "read"]);
    await done(desk, "chat:send_message", { room, text: "hello" });
    const third = await heard(phone, "chat:unread");
    assert.deepEqual([third.unread, third.head, third.cause], [0, 2, "sent"]);
    await done(desk, "chat:unsubscribe", { room });
    await done(alice, "chat:send_message", { room, text: "still there?" });
    assert.equal((await heard(desk, "chat:unread")).lastMessage.text, "still there?");
  });

  test("a room's additions and removals reach all the user's sockets", async () => {
    const room = fresh();
    const [bob, tablet] = [await person(server, "bob"), await person(server, "bob")];
    await done(bob, "chat:join", { room });
    assert.equal((await heard(tablet, "chat:room_added")).room, room);
    await done(tablet, "chat:leave", { room });
    assert.deepEqual(await heard(bob, "chat:room_removed"), { room, reason: "left" });
  });
});

describe("for operators", () => {
  test("health and metrics answer", async () => {
    await person(server, "alice");
    assert.equal((await fetch(`${server.url}/livez`)).status, 200);
    assert.equal((await fetch(`${server.url}/readyz`)).status, 200);
    const text = await (await fetch(`${server.url}/metrics`)).text();
    assert.match(text, /^roomful_connections [1-9]/m);
  });
});
