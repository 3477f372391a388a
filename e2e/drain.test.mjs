// Graceful shutdown of a server by SIGTERM, as an operator or a rolling update does it.

import assert from "node:assert/strict";
import { after, afterEach, before, test } from "node:test";

import { Postgres, Redis } from "./lib/backing.mjs";
import { faults } from "./lib/ledger.mjs";
import { done, heard, history, insist, leaveAll, member, stranger } from "./lib/people.mjs";
import { Roomful } from "./lib/process.mjs";
import { tokenFor } from "./lib/token.mjs";
import { PATIENCE, next, until, within } from "./lib/waiting.mjs";

/** Fewer than the waves of `shutdown.spread` below (four a second), so each wave has at most one. */
const CROWD = 16;
const WAYS = [
  { transports: ["polling"] },
  { transports: ["polling", "websocket"] },
  { transports: ["websocket"] },
];

let postgres, redis;
before(async () => {
  [postgres, redis] = await Promise.all([Postgres.start(), Redis.start()]);
});
afterEach(leaveAll);
after(() => Promise.all([redis?.stop(), postgres?.stop()]));

const probe = async (server, path) => (await fetch(`${server.url}${path}`)).status;
const shutdown = (delay, spread, timeout) => ({
  ROOMFUL__SHUTDOWN__DELAY: `${delay}s`,
  ROOMFUL__SHUTDOWN__SPREAD: `${spread}s`,
  ROOMFUL__SHUTDOWN__TIMEOUT: `${timeout}s`,
});

test("it serves while load balancers notice, disconnects clients in waves, and exits with 0", async () => {
  const server = await Roomful.start({ env: shutdown(4, 8, 10) });
  try {
    const room = "lobby";
    const people = await Promise.all(
      // Clients do not reconnect, so that the test sees each disconnect once.
      Array.from({ length: CROWD }, (_, n) =>
        member(server, `user-${n}`, room, { ...WAYS[n % WAYS.length], reconnection: false }),
      ),
    );
    const gone = [];
    for (const one of people) {
      one.on("server:draining", (hint) => (one.hint = hint));
      one.on("disconnect", (reason) => gone.push({ reason, told: one.hint !== undefined }));
    }
    const [alice, bob] = people;
    const ended = server.end("SIGTERM");

    await until(async () => (await probe(server, "/readyz")) === 503, "/readyz to say no");
    assert.equal((await (await fetch(`${server.url}/readyz`)).json()).status, "draining");
    assert.equal(await probe(server, "/livez"), 200);
    await done(alice, "chat:send_message", { room, text: "still here" });
    await heard(bob, "chat:receive_message", ({ text }) => text === "still here");
    // Until the load balancer notices, it sends new clients here.
    const late = await member(server, "late", room);
    late.disconnect();
    assert.deepEqual(
      people.filter((one) => one.hint || !one.connected),
      [],
      "no client is disconnected yet",
    );

    for (const count of [1, CROWD / 2]) {
      await until(() => gone.length >= count, `${count} to be gone`);
      assert.equal(await probe(server, "/livez"), 200);
      assert.equal(await probe(server, "/readyz"), 503);
      // A client's wave may come while it sends, but not all waves at once.
      const rest = people.filter((one) => one.connected);
      const acks = rest.map((one) =>
        one.timeout(PATIENCE).emitWithAck("chat:send_message", { room, text: "one of the rest" }),
      );
      assert.equal((await Promise.any(acks)).ok, true, `when ${count} are gone, the others chat on`);
    }
    assert.equal(await probe(server, "/socket.io/?EIO=4&transport=polling"), 503);
    for (const options of WAYS)
      await next(stranger(server, { token: tokenFor("too-late") }, options), "connect_error");

    const { code } = await within(ended, "its end");
    assert.equal(code, 0, server.log());
    assert.doesNotMatch(server.log(), /failed to finish a step of the shutdown in time/);
    await until(() => gone.length === CROWD, "all to notice");
    for (const { hint } of people)
      assert.ok(hint.retryAfterMs >= 0 && hint.retryAfterMs <= 1000, JSON.stringify(hint));
    assert.ok(
      gone.every(({ told }) => told),
      "each client gets the event before its disconnect",
    );
    // After "io server disconnect" the stock client would not reconnect.
    assert.deepEqual(
      gone.filter(({ reason }) => !/^transport /.test(reason)),
      [],
    );
  } finally {
    await server.stop();
  }
});

for (const [where, bus] of [
  ["alone", () => ({})],
  ["in a cluster", () => ({ ROOMFUL_BUS_URL: redis.url })],
]) {
  test(`${where}, it ends in time while PostgreSQL hangs, and pending sends can be retried`, async () => {
    const [delay, spread, timeout] = [1, 1, 3];
    const server = await Roomful.start({
      env: {
        ROOMFUL_STORE_URL: postgres.url,
        // Only the shutdown's own deadline ends calls to PostgreSQL.
        ROOMFUL__STORE__STATEMENT_TIMEOUT: "60s",
        ...bus(),
        ...shutdown(delay, spread, timeout),
      },
    });
    try {
      const room = `still, ${where}`;
      const alice = await member(server, "alice", room);
      const ledger = new Map();
      ledger.set("before", (await insist(alice, room, "before")).seq);
      postgres.freeze();
      let acknowledged = false;
      alice.emit(
        "chat:send_message",
        { room, text: "under way", clientId: "under way" },
        ({ ok }) => (acknowledged = ok),
      );
      const metrics = async () => (await fetch(`${server.url}/metrics`)).text();
      await until(
        async () => /^roomful_events_total\{event="chat:send_message"\} 2$/m.test(await metrics()),
        "the send to arrive",
      );
      const { code } = await within(
        server.end("SIGTERM"),
        "its end",
        (delay + spread + timeout) * 1000 + PATIENCE,
      );
      assert.equal(code, 0, server.log());
      assert.match(
        server.log(),
        /failed to finish a step of the shutdown in time/,
        "the time limit ended it",
      );
      assert.equal(acknowledged, false, "nothing is acknowledged that PostgreSQL did not answer");
      postgres.thaw();
      await server.restart();
      for (const text of ["under way", "after"]) ledger.set(text, (await insist(alice, room, text)).seq);
      const reader = await member(server, "reader", room);
      assert.deepEqual(faults(await history(reader, room), ledger), []);
    } finally {
      postgres.thaw();
      await server.stop();
    }
  });
}
