// Fifty kills: users send in bursts, the server gets kill -9 during the burst and starts again on the same
// data, and all users retry. No acknowledged message may be missing, moved or duplicated.

import assert from "node:assert/strict";
import { after, before, test } from "node:test";

import { call, done, heard, history, leaveAll, member, person } from "./lib/people.mjs";
import { Roomful } from "./lib/process.mjs";
import { within } from "./lib/waiting.mjs";

const ROUNDS = Number(process.env.KILL9_ROUNDS ?? 50);
const ROOMS = ["north", "south", "west"];
const PEOPLE = ["alice", "bob", "carol", "dave"];
/** Messages per user and round, over all rooms. */
const BURST = 60;

let server;
before(async () => {
  server = await Roomful.start({ env: { ROOMFUL_LIMITS: "off" } });
});
after(async () => {
  leaveAll();
  await server?.stop();
});

/** All sends with their acknowledged seq: clientId -> {room, text, user, seq?}. */
const ledger = new Map();

/** Sends `entry` once; resolves to its seq, or undefined if the connection broke before the ack. */
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
      // No automatic reconnects: each round connects anew, so no client resends unnoticed.
      const socket = await person(server, user, { reconnection: false });
      for (const room of ROOMS) await done(socket, "chat:join", { room });
      return { user, socket };
    }),
  );
}

test(`no acknowledged message is lost or duplicated in ${ROUNDS} kills`, async (t) => {
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
    // Kill after a number of messages that differs by round, always within the burst.
    const killAfter = watcher.joined.head + 1 + ((round * 7) % (BURST / 2));
    await heard(watcher, "chat:receive_message", (message) => message.seq >= killAfter);
    await server.end("SIGKILL");
    await Promise.all(sends);
    leaveAll();
    await server.restart();

    const mine = (user) =>
      [...ledger].filter(([id, entry]) => id.startsWith(`${round}-`) && entry.user === user);
    const unanswered = [...ledger.values()].filter((entry) => entry.seq === undefined).length;
    if (unanswered > 0) interrupted += 1;
    // All users retry the whole round: an acknowledged message must get the same seq again.
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

/** Compares the whole history with the ledger. */
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
