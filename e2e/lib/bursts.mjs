// Bursts of sends that a crash interrupts, and the audit of their outcome: a ledger of all sends against
// the stored history.

import assert from "node:assert/strict";

import { call, done, heard, history, leaveAll, member, person } from "./people.mjs";
import { within } from "./waiting.mjs";

const ROOMS = ["north", "south", "west"];
const USERS = ["alice", "bob", "carol", "dave"];
/** Messages per user and round, over all rooms. */
const BURST = 60;

export class Bursts {
  /** All sends with their acknowledged seq: clientId -> {room, text, user, seq?}. */
  ledger = new Map();
  /** Rounds whose crash left sends without an answer. */
  interrupted = 0;

  constructor(server) {
    this.server = server;
  }

  /**
   * One round: all users send a burst, `crash` stops the server within the burst and starts it again, and
   * all users retry. Fails if a message gets two seqs, or none.
   */
  async round(number, crash) {
    const users = await this.#gather();
    const watcher = await member(this.server, "watcher", ROOMS[0], { reconnection: false });
    const sends = [];
    for (const { user, socket } of users) {
      for (let i = 0; i < BURST; i++) {
        const clientId = `${number}-${user}-${i}`;
        const entry = { user, room: ROOMS[i % ROOMS.length], text: `text of ${clientId}` };
        this.ledger.set(clientId, entry);
        sends.push(this.#attempt(socket, clientId, entry));
      }
    }
    // Crash after a number of messages that differs by round, always within the burst.
    const crashAfter = watcher.joined.head + 1 + ((number * 7) % (BURST / 2));
    await heard(watcher, "chat:receive_message", (message) => message.seq >= crashAfter);
    await crash(async () => {
      await Promise.all(sends);
      leaveAll();
    });
    const unanswered = [...this.ledger.values()].some((entry) => entry.seq === undefined);
    if (unanswered) this.interrupted += 1;
    await this.#retry(number);
    leaveAll();
  }

  /** Users retry their whole round: an acknowledged message must get the same seq again. */
  async #retry(number) {
    const sent = (user) =>
      [...this.ledger].filter(([id, entry]) => id.startsWith(`${number}-`) && entry.user === user);
    const users = await this.#gather();
    const attempts = users.flatMap(({ user, socket }) =>
      sent(user).map(([clientId, entry]) => this.#attempt(socket, clientId, entry)),
    );
    await Promise.all(attempts);
    const all = [...this.ledger.values()].every((entry) => entry.seq !== undefined);
    assert.ok(all, `round ${number}: a retry went unanswered`);
  }

  /** Compares the whole history with the ledger. */
  async audit() {
    const reader = await person(this.server, "reader");
    for (const room of ROOMS) {
      await done(reader, "chat:join", { room, limit: 1 });
      const stored = await history(reader, room);
      const dense = Array.from({ length: stored.length }, (_, i) => i + 1);
      assert.deepEqual(
        stored.map((message) => message.seq),
        dense,
        `the seqs of ${room} are not dense`,
      );
      const expected = [...this.ledger].filter(([, entry]) => entry.room === room);
      assert.equal(stored.length, expected.length, `${room} has more or fewer messages than were sent`);
      const bySeq = new Map(stored.map((message) => [message.seq, message]));
      for (const [clientId, entry] of expected) {
        const { userId, text, clientId: id } = bySeq.get(entry.seq);
        assert.deepEqual({ userId, text, id }, { userId: entry.user, text: entry.text, id: clientId });
      }
    }
    assert.equal((await call(reader, "chat:leave", { room: ROOMS[0] })).ok, true);
    leaveAll();
  }

  #gather() {
    return Promise.all(
      USERS.map(async (user) => {
        // No automatic reconnects: each round connects again, so no client resends unnoticed.
        const socket = await person(this.server, user, { reconnection: false });
        for (const room of ROOMS) await done(socket, "chat:join", { room });
        return { user, socket };
      }),
    );
  }

  /** Sends `entry` once and records its seq, unless the connection breaks before the ack. */
  async #attempt(socket, clientId, entry) {
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
}
