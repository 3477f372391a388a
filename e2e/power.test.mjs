// Power cuts on a simulated disk: users send in bursts, the power fails, and the server starts again on
// what the disk has kept. No acknowledged message may be missing, moved or duplicated. POWER_CUTS=500
// POWER_SEED=7 makes a longer run.
//
// On PostgreSQL, the power line feeds its data folder, too.

import assert from "node:assert/strict";
import { after, afterEach, before, test } from "node:test";

import { Bursts } from "./lib/bursts.mjs";
import { leaveAll } from "./lib/people.mjs";
import { PoweredRoomful, RoomfulOnPostgres, buildLibrary } from "./lib/power.mjs";
import { random } from "./lib/random.mjs";

const CUTS = Number(process.env.POWER_CUTS ?? 20);
const SEED = Number(process.env.POWER_SEED ?? 1);

// A long run sends more messages than a room keeps by default.
const ENV = { ROOMFUL_LIMITS: "off", ROOMFUL__HISTORY__MAX_MESSAGES: "1000000" };

let library, shared;
let server;
before(() => {
  library = buildLibrary("power_cut");
  shared = buildLibrary("shared_power_cut");
});
afterEach(async () => {
  leaveAll();
  await server?.stop();
});
after(() => leaveAll());

/** Cuts the power `cuts` times during sends, with an audit after each ten cuts. */
async function run(cuts) {
  const bursts = new Bursts(server);
  const chance = random(SEED);
  for (let round = 0; round < cuts; round++) {
    await bursts.round(round, async (settled) => {
      await server.cut(chance);
      await settled();
      await server.restart();
    });
    if (round % 10 === 9 || round === cuts - 1) await bursts.audit();
  }
  return bursts;
}

async function loseNothing(t) {
  const { interrupted, ledger } = await run(CUTS);
  t.diagnostic(`seed ${SEED}: ${CUTS} cuts, ${interrupted} during sends, ${ledger.size} messages`);
  assert.ok(interrupted > CUTS / 2, `only ${interrupted} of ${CUTS} cuts met sends under way`);
}

test(`no acknowledged message is lost or duplicated in ${CUTS} power cuts`, async (t) => {
  server = await PoweredRoomful.start(library, { env: ENV });
  await loseNothing(t);
});

test("a server that does not sync its log, as with synchronous=NORMAL, loses messages", async () => {
  server = await PoweredRoomful.start(library, { ignored: "-wal", env: { ROOMFUL_LIMITS: "off" } });
  await assert.rejects(run(10), /two seqs|not dense|more or fewer|ended at once/);
});

test(`on PostgreSQL, none is lost or duplicated in ${CUTS} power cuts`, async (t) => {
  server = await RoomfulOnPostgres.start(shared, { env: ENV });
  await loseNothing(t);
});

test("a PostgreSQL that does not sync its write-ahead log loses messages", async () => {
  server = await RoomfulOnPostgres.start(shared, { ignored: "/pg_wal/", env: { ROOMFUL_LIMITS: "off" } });
  await assert.rejects(run(10), /two seqs|not dense|more or fewer|waited .* for PostgreSQL/);
});
