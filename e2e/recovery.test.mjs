// Connection state recovery with the unmodified client: it resumes its session and gets the missed events.

import assert from "node:assert/strict";
import { after, afterEach, before, describe, test } from "node:test";

import { done, heard, leaveAll, member, person } from "./lib/people.mjs";
import { API_KEY, Roomful } from "./lib/process.mjs";
import { next, until, within } from "./lib/waiting.mjs";

let server;
before(async () => {
  server = await Roomful.start({ env: { ROOMFUL_LIMITS: "off" } });
});
afterEach(leaveAll);
after(() => server?.stop());

let rooms = 0;
const fresh = () => `recovery-${++rooms}`;

/** Posts over the HTTP API, so that no client has to be connected. */
async function post(room, text) {
  const headers = { authorization: `Bearer ${API_KEY}`, "content-type": "application/json" };
  const body = JSON.stringify({ userId: "backend", text });
  const answer = await fetch(`${server.url}/api/v1/rooms/${room}/messages`, {
    method: "POST",
    headers,
    body,
  });
  assert.equal(answer.status, 201, await answer.text());
}

/** Checks that a client got every message of its room from 1 on, in order, once. */
function watch(socket) {
  socket.got = [];
  socket.on("chat:receive_message", ({ seq }) => socket.got.push(seq));
}

async function sees(socket, head) {
  await until(() => socket.got.at(-1) >= head, `message ${head}; seen: ${socket.got}`);
  assert.deepEqual(
    socket.got,
    Array.from({ length: head }, (_, i) => i + 1),
  );
}

/** Breaks the connection, runs `meanwhile` before the client reconnects, and waits until it has. */
async function cut(socket, meanwhile) {
  const lost = next(socket, "disconnect");
  socket.io.reconnectionDelay(200);
  if (socket.io.engine.transport.name === "websocket") socket.io.engine.transport.ws.terminate();
  else socket.io.engine.close();
  await lost;
  const back = next(socket, "connect");
  await meanwhile();
  await back;
}

for (const [way, options] of Object.entries({
  websocket: { transports: ["websocket"] },
  polling: { transports: ["polling"] },
  upgrade: { transports: ["polling", "websocket"] },
})) {
  describe(`over ${way}`, () => {
    test("a lost session is resumed, time after time", async () => {
      const room = fresh();
      const bob = await member(server, "bob", room, options);
      watch(bob);
      const { id } = bob;
      for (let round = 0; round < 4; round++) {
        await cut(bob, () => post(room, `missed in round ${round}`));
        assert.equal(bob.recovered, true);
        assert.equal(bob.id, id);
        await post(room, `live in round ${round}`);
        await sees(bob, 2 * round + 2);
      }
      const session = await heard(bob, "session", ({ recovered }) => recovered);
      assert.equal(session.sessionId, id);
    });

    test("a client that got only the session event can recover", async () => {
      const bob = await person(server, "bob", options);
      await cut(bob, () => undefined);
      assert.equal(bob.recovered, true);
    });
  });
}

test("a session survives kill -9 of the server, again and again", async () => {
  const room = fresh();
  const bob = await member(server, "bob", room, { reconnectionDelay: 20 });
  watch(bob);
  const { id } = bob;
  let head = 0;
  for (let round = 0; round < 8; round++) {
    const alice = await member(server, "alice", room, { reconnection: false });
    const sends = [];
    for (let n = 0; n < 20; n++) {
      const answer = new Promise((resolve) =>
        alice.emit("chat:send_message", { room, text: `${round}.${n}` }, resolve),
      );
      sends.push(Promise.race([answer, new Promise((resolve) => alice.once("disconnect", resolve))]));
    }
    await heard(bob, "chat:receive_message", ({ seq }) => seq > head + (round % 10));
    const back = next(bob, "connect", () => true, 30_000);
    await server.end("SIGKILL");
    await within(Promise.all(sends), "an answer or an end");
    await server.restart();
    await back;
    assert.equal(bob.recovered, true, `round ${round}`);
    assert.equal(bob.id, id);
    ({ head } = await done(bob, "chat:join", { room, limit: 1 }));
    await sees(bob, head);
  }
});

test("another user's token does not get the session", async () => {
  const room = fresh();
  const bob = await member(server, "bob", room);
  const stolen = { _pid: bob._pid, _lastOffset: bob._lastOffset };
  bob.io.engine.transport.ws.terminate();
  bob.disconnect();
  const eve = await person(server, "eve");
  watch(eve);
  Object.assign(eve, stolen);
  await cut(eve, () => post(room, "for bob"));
  assert.equal(eve.recovered, false);
  await done(eve, "presence:unsubscribe", { users: [] });
  assert.deepEqual(eve.got, []);
});

test("a client that disconnected on purpose cannot recover", async () => {
  const bob = await member(server, "bob", fresh());
  bob.disconnect();
  bob.connect();
  await next(bob, "connect");
  assert.equal(bob.recovered, false);
});
