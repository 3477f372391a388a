// Fifty times: people send in bursts, the server is killed in the middle of it, starts again on the same data, and
// everybody retries what was not acknowledged. No acknowledged message may be missing, moved or doubled.

import assert from "node:assert/strict";
import { after, before, test } from "node:test";

import { call, done, heard, history, leaveAll, member, person } from "./lib/people.mjs";
import { Roomful } from "./lib/process.mjs";
import { within } from "./lib/waiting.mjs";

const ROUNDS = Number(process.env.KILL9_ROUNDS ?? 50);
const ROOMS = ["north", "south", "west"];
const PEOPLE = ["alice", "bob", "carol", "dave"];
/** Messages of each person in each round, over all rooms. */
const BURST = 60;

let server;
before(async () => {
  server = await Roomful.start({ env: { ROOMFUL_LIMITS: "off" } });
});
after(async () => {
  leaveAll();
  await server?.stop();
});

/** What was asked for and what came of it: clientId -> {room, text, user, seq?}. */
const ledger = new Map();

/** Sends `entry` once; its seq if that is acknowledged, before the connection goes. */
async function attempt(socket, clientId, entry) {
  const lost = new Promise((resolve) => socket.once("disconnect", () => resolve(undefined)));
  const answer = new Promise((resolve) => {
    socket.emit("chat:send_message", { room: entry.room, text: entry.text, clientId }, resolve);
  });
  const ack = await within(Promise.race([answer, lost]), `an answer to ${clientId}`);
  if (ack === undefined) return;
  assert.equal(ack.ok, true, JSON.stringify(ack));
  if (entry.seq !== undefined)
    assert.equal(ack.data.seq, entry.seq, `${clientId} was acknowledged with two seqs`);
  entry.seq = ack.data.seq;
}

async function gather() {
  return Promise.all(
    PEOPLE.map(async (user) => {
      // A connection that is lost stays lost: each round connects anew, so no client resends behind our back.
      const socket = await person(server, user, { reconnection: false });
      for (const room of ROOMS) await done(socket, "chat:join", { room });
      return { user, socket };
    }),
  );
}

test(`no acknowledged message is lost and none is doubled in ${ROUNDS} kills`, async (t) => {
  let interrupted = 0;
  for (let round = 0; round < ROUNDS; round++) {
    const people = await gather();
    const watcher = await member(server, "watcher", ROOMS[0], { reconnection: false });
    const sends = [];
    for (const { user, socket } of people) {
      for (let i = 0; i < BURST; i++) {
        const clientId = `${round}-${user}-${i}`;
        const entry = { user, room: ROOMS[i % ROOMS.length], text: `text of ${clientId}` };
        ledger.set(clientId, entry);
        sends.push(attempt(socket, clientId, entry));
      }
    }
    // The blow falls after a number of messages that differs from round to round, always within the burst.
    const blow = watcher.joined.head + 1 + ((round * 7) % (BURST / 2));
    await heard(watcher, "chat:receive_message", (message) => message.seq >= blow);
    await server.end("SIGKILL");
    await Promise.all(sends);
    leaveAll();
    await server.restart();

    const mine = (user) =>
      [...ledger].filter(([id, entry]) => id.startsWith(`${round}-`) && entry.user === user);
    const unanswered = [...ledger.values()].filter((entry) => entry.seq === undefined).length;
    if (unanswered > 0) interrupted += 1;
    // Everybody retries all of the round: what was acknowledged must be answered with the same seq again.
    await Promise.all(
      (await gather()).map(({ user, socket }) =>
        Promise.all(mine(user).map(([clientId, entry]) => attempt(socket, clientId, entry))),
      ),
    );
    assert.ok(
      [...ledger.values()].every((entry) => entry.seq !== undefined),
      `round ${round}: a retry went unanswered`,
    );
    leaveAll();
    if (round % 10 === 9 || round === ROUNDS - 1) await audit();
  }
  t.diagnostic(`${ROUNDS} kills, ${interrupted} with sends under way, ${ledger.size} messages`);
  assert.ok(interrupted > ROUNDS / 2, `only ${interrupted} of ${ROUNDS} kills met sends under way`);
});

/** Compares all of history with the ledger. */
async function audit() {
  const reader = await person(server, "reader");
  for (const room of ROOMS) {
    await done(reader, "chat:join", { room, limit: 1 });
    const stored = await history(reader, room);
    assert.deepEqual(
      stored.map((message) => message.seq),
      Array.from({ length: stored.length }, (_, i) => i + 1),
      `the seqs of ${room} are not dense`,
    );
    const expected = [...ledger].filter(([, entry]) => entry.room === room);
    assert.equal(stored.length, expected.length, `${room} holds more or fewer messages than were sent`);
    const bySeq = new Map(stored.map((message) => [message.seq, message]));
    for (const [clientId, entry] of expected) {
      const { userId, text, clientId: id } = bySeq.get(entry.seq);
      assert.deepEqual({ userId, text, id }, { userId: entry.user, text: entry.text, id: clientId });
    }
  }
  assert.equal((await call(reader, "chat:leave", { room: ROOMS[0] })).ok, true);
  leaveAll();
}
