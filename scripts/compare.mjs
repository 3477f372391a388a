// Compares two builds of the server by the instructions and the memory that their work takes, which do not
// depend on the machine's load as times do.
//
//   node scripts/compare.mjs OLD NEW [ROUNDS]     paths of two `roomful` binaries; 3 rounds by default
//
// Each workload runs under callgrind with two lengths; the difference of the counts excludes start and end.
// Builds take turns. The table shows medians. Exits with 1 if a ratio is above 1.03.

import { spawnSync } from "node:child_process";
import { readFileSync } from "node:fs";
import { basename, resolve } from "node:path";

// Callgrind makes the server about fifty times slower.
process.env.E2E_PATIENCE ??= "180000";
// The older build may know less of the contract.
process.env.E2E_CONTRACT = "off";
const { done, leaveAll, member, person } = await import("../e2e/lib/people.mjs");
const { Roomful } = await import("../e2e/lib/process.mjs");

const LIMIT = 1.03;
const [old, fresh, rounds = 3] = process.argv.slice(2);
if (!fresh) {
  console.error("usage: node scripts/compare.mjs OLD NEW [ROUNDS]");
  process.exit(2);
}
if (spawnSync("valgrind", ["--version"]).error) {
  console.error("valgrind is not installed; scripts/setup.sh instructions installs it");
  process.exit(2);
}
const env = { ROOMFUL_LIMITS: "off", ROOMFUL_LOG: "warn" };

/** Calls `step` for 0 to `count` - 1, with up to `window` calls in flight. */
async function pipelined(count, window, step) {
  let next = 0;
  const lane = async () => {
    while (next < count) await step(next++);
  };
  await Promise.all(Array.from({ length: window }, lane));
}

function send(socket, room, n) {
  return done(socket, "chat:send_message", { room, text: `message ${n}`, clientId: `${room}-${n}` });
}

/** Joins `members` users to a room, sends `count` messages one by one, and waits until all have them. */
async function fanOut(server, members, count) {
  const sockets = [];
  for (let n = 0; n < members; n++) sockets.push(await member(server, `user-${n}`, "hall"));
  const arrived = sockets.map((socket) => {
    let left = count;
    return new Promise((resolve) =>
      count === 0 ? resolve() : socket.on("chat:receive_message", () => --left === 0 && resolve()),
    );
  });
  for (let n = 0; n < count; n++) await send(sockets[0], "hall", n);
  await Promise.all(arrived);
}

async function sends(server, count) {
  const socket = await member(server, "alice", "desk");
  await pipelined(count, 16, (n) => send(socket, "desk", n));
}

/** A user with a room of 50 messages; then `count` calls. */
async function calls(server, count, event, payload) {
  const socket = await member(server, "alice", "desk");
  await pipelined(50, 16, (n) => send(socket, "desk", n));
  const reader = await member(server, "bob", "desk");
  await pipelined(count, 4, () => done(reader, event, payload));
}

const WORKLOADS = [
  ["a delivery, room of 50", 50, 40, (server, count) => fanOut(server, 50, count)],
  ["a durable send", 1, 400, sends],
  ["a join with 50 messages", 1, 200, (server, count) => calls(server, count, "chat:join", { room: "desk" })],
  [
    "a page of history",
    1,
    200,
    (server, count) => calls(server, count, "chat:get_history", { room: "desk" }),
  ],
  ["an inbox", 1, 200, (server, count) => calls(server, count, "chat:inbox", {})],
  ["a mark", 1, 200, (server, count) => calls(server, count, "chat:message_read", { room: "desk", seq: 50 })],
  [
    "a sync of one room",
    1,
    200,
    (server, count) => calls(server, count, "chat:sync", { rooms: [{ room: "desk", since: 0 }] }),
  ],
];

/** A server whose binary is `path`, under callgrind. */
class Counted extends Roomful {
  static async of(path) {
    const server = new Counted();
    server.path = path;
    server.settings = { args: [], env };
    await server.launchServer("127.0.0.1:0");
    return server;
  }

  launch(_, args, env, options) {
    const valgrind = ["--tool=callgrind", "--callgrind-out-file=/dev/null", this.path, ...args];
    super.launch("valgrind", valgrind, env, options);
  }

  /** Ends the server and resolves to its instructions. */
  async instructions() {
    await this.end("SIGTERM");
    const collected = /Collected : (\d+)/.exec(this.log());
    if (!collected) throw new Error(`callgrind counted nothing; its log:\n${this.log()}`);
    await this.stop();
    return Number(collected[1]);
  }
}

async function count(path, run, length) {
  const server = await Counted.of(path);
  await run(server, length);
  leaveAll();
  return server.instructions();
}

/** Resident memory of one idle client, in KiB. */
async function idleMemory(path) {
  process.env.ROOMFUL_BIN = path;
  const server = await Roomful.start({ env });
  const resident = () =>
    Number(/VmRSS:\s+(\d+)/.exec(readFileSync(`/proc/${server.child.pid}/status`, "utf8"))[1]);
  await person(server, "first");
  const before = resident();
  const clients = 1000;
  for (let n = 0; n < clients; n++) await person(server, `user-${n}`);
  const used = (resident() - before) / clients;
  leaveAll();
  await server.stop();
  return used;
}

function median(values) {
  return values.toSorted((a, b) => a - b)[Math.floor(values.length / 2)];
}

const binaries = [old, fresh].map((path) => resolve(path));
let above = 0;
function row(name, [was, is]) {
  const ratio = is / was;
  if (ratio > LIMIT) above += 1;
  const shown = [was, is].map((value) => value.toFixed(value < 100 ? 2 : 0).padStart(10));
  console.log(`${ratio > LIMIT ? "!" : " "} ${name.padEnd(26)} ${shown.join(" ")}  ${ratio.toFixed(3)}`);
}

console.log(
  `  instructions of            ${binaries.map((path) => basename(path)).join(" and ")}, and ratio`,
);
for (const [name, units, length, run] of WORKLOADS) {
  const counts = [[], []];
  for (let round = 0; round < rounds; round++) {
    for (const [at, path] of binaries.entries()) {
      const [one, two] = [await count(path, run, length), await count(path, run, 2 * length)];
      counts[at].push((two - one) / (length * units));
    }
  }
  row(name, counts.map(median));
}
const memory = [[], []];
for (let round = 0; round < rounds; round++) {
  for (const [at, path] of binaries.entries()) memory[at].push(await idleMemory(path));
}
row("KiB of an idle client", memory.map(median));
process.exit(above > 0 ? 1 : 0);
