// Generated payloads for every client event: the contract and the server agree on which ones are valid.
//
// SEED=… repeats a run; RUNS sets the payloads of each event.

import assert from "node:assert/strict";
import { after, before, test } from "node:test";

import fc from "fast-check";

import { CLIENT_EVENTS, accepts } from "./lib/contract.mjs";
import { payloadsOf } from "./lib/payloads.mjs";
import { call, done, leaveAll, person } from "./lib/people.mjs";
import { Roomful } from "./lib/process.mjs";

const SEED = Number(process.env.SEED ?? 1);
const RUNS = Number(process.env.RUNS ?? 300);
/** Codes that say that the payload is wrong. All others depend on more than the payload. */
const INVALID = ["invalid_request", "payload_too_large"];

let server;
before(
  async () =>
    (server = await Roomful.start({
      env: { ROOMFUL_LIMITS: "off", ROOMFUL__SOCKET__MAX_REFUSED_BYTES: "1GB" },
    })),
);
after(async () => {
  leaveAll();
  await server.stop();
});

for (const event of CLIENT_EVENTS) {
  test(`${event}: the server refuses the payloads that the contract refuses, and no others`, async () => {
    const alice = await person(server, `alice-${event}`);
    // A fresh room with a message, whatever other events have done.
    await done(alice, "chat:join", { room: "lobby" });
    await done(alice, "chat:send_message", { room: "lobby", text: "first" });
    const seen = { valid: 0, invalid: 0 };
    const agree = async (payload) => {
      // What the payload is after JSON: it turns -0 into 0.
      const sent = JSON.parse(JSON.stringify(payload));
      const valid = accepts(event, sent);
      const { ok, error } = await call(alice, event, sent);
      const refused = !ok && INVALID.includes(error.code);
      assert.equal(refused, !valid, `the contract says ${valid}, the server ${JSON.stringify(error ?? ok)}`);
      seen[valid ? "valid" : "invalid"] += 1;
    };
    await fc.assert(fc.asyncProperty(payloadsOf(event), agree), { seed: SEED, numRuns: RUNS });
    assert.ok(seen.valid > RUNS / 20 && seen.invalid > RUNS / 50, JSON.stringify(seen));
    alice.disconnect();
  });
}
