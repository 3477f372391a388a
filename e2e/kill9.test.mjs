// Fifty kills: users send in bursts, the server gets kill -9 during the burst and starts again on the same
// data, and all users retry. No acknowledged message may be missing, moved or duplicated.

import assert from "node:assert/strict";
import { after, before, test } from "node:test";

import { Bursts } from "./lib/bursts.mjs";
import { leaveAll } from "./lib/people.mjs";
import { Roomful } from "./lib/process.mjs";

const ROUNDS = Number(process.env.KILL9_ROUNDS ?? 50);

let server;
before(async () => {
  server = await Roomful.start({ env: { ROOMFUL_LIMITS: "off" } });
});
after(async () => {
  leaveAll();
  await server?.stop();
});

test(`no acknowledged message is lost or duplicated in ${ROUNDS} kills`, async (t) => {
  const bursts = new Bursts(server);
  for (let round = 0; round < ROUNDS; round++) {
    await bursts.round(round, async (settled) => {
      await server.end("SIGKILL");
      await settled();
      await server.restart();
    });
    if (round % 10 === 9 || round === ROUNDS - 1) await bursts.audit();
  }
  const { interrupted, ledger } = bursts;
  t.diagnostic(`${ROUNDS} kills, ${interrupted} with sends under way, ${ledger.size} messages`);
  assert.ok(interrupted > ROUNDS / 2, `only ${interrupted} of ${ROUNDS} kills met sends under way`);
});
