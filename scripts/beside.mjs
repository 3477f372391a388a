// Measures what users notice of work beside them: the p99 of their calls with and without it.
//
//   taskset -c 1 node scripts/beside.mjs BINARY hook|erase|anonymise|room [SECONDS]
//
// The server runs on core 0. Calls leave on a schedule, and a call counts from the time it was due.

import { fork, spawn } from "node:child_process";
import { once } from "node:events";
import { readFileSync, writeFileSync } from "node:fs";
import { createServer } from "node:http";
import { connect } from "node:net";
import { join, resolve } from "node:path";

// The older build may know less of the contract.
process.env.E2E_CONTRACT = "off";
const { done, leaveAll, member, person } = await import("../e2e/lib/people.mjs");
const { API_KEY, Roomful } = await import("../e2e/lib/process.mjs");
const { tokenFor } = await import("../e2e/lib/token.mjs");
const { sleep } = await import("../e2e/lib/waiting.mjs");

/** The delay of the hook's answers, in milliseconds. */
const HOOK_DELAY = 50;
const ASKED = 1_000;
const MEMBERS = 10_000;
/** Messages of the erased user: 200 in each of 500 rooms. */
const ROOMS = 500;
const MESSAGES = 200;

/** The hook's endpoint, in a process of its own. It tells its parent its port. */
async function endpoint() {
  const server = createServer((request, response) => {
    request.resume();
    setTimeout(() => response.end('{"action":"allow"}'), HOOK_DELAY);
  });
  server.keepAliveTimeout = 60_000;
  server.listen(0, "127.0.0.1", () => process.send(server.address().port));
  process.on("disconnect", () => process.exit(0));
}

/** A server on core 0. */
class Pinned extends Roomful {
  static async of(path, { env = {}, args = [], fill } = {}) {
    const server = new Pinned();
    server.path = path;
    server.settings = { args, env: { ROOMFUL_LIMITS: "off", ROOMFUL_LOG: "warn", ...env } };
    await fill?.(server);
    await server.launchServer("127.0.0.1:0");
    return server;
  }

  launch(_, args, env, options) {
    super.launch("taskset", ["-c", "0", this.path, ...args], env, options);
  }

  /** Seconds of CPU since its start. */
  cpu() {
    const fields = readFileSync(`/proc/${this.child.pid}/stat`, "utf8").split(") ")[1].split(" ");
    return (Number(fields[11]) + Number(fields[12])) / 100;
  }
}

/** Calls `step(n)` at this rate until `ended()`. Resolves to the latencies in milliseconds. */
async function onSchedule(perSecond, ended, step) {
  const start = performance.now();
  const latencies = [];
  const calls = [];
  for (let n = 0; !ended(); ) {
    const due = start + (n * 1_000) / perSecond;
    const early = due - performance.now();
    if (early > 0) {
      await sleep(early);
      continue;
    }
    calls.push(step(n++).then(() => latencies.push(performance.now() - due)));
  }
  await Promise.all(calls);
  return latencies;
}

function quantile(latencies, q) {
  return latencies.toSorted((a, b) => a - b)[Math.floor(latencies.length * q)];
}

/** Prints the latencies of `calls` until `work` ends, and the server's CPU. */
async function phase(server, name, calls, work) {
  let ended = false;
  const start = performance.now();
  const cpu = server.cpu();
  const working = work().finally(() => (ended = true));
  const latencies = await calls(() => ended);
  await working;
  const seconds = (performance.now() - start) / 1_000;
  const row = [
    name.padEnd(24),
    `${seconds.toFixed(1)} s`,
    `${latencies.length} calls`,
    `p50 ${quantile(latencies, 0.5).toFixed(2)} ms`,
    `p99 ${quantile(latencies, 0.99).toFixed(2)} ms`,
    `CPU ${(((server.cpu() - cpu) * 100) / seconds).toFixed(0)} %`,
  ];
  console.log(row.join("  "));
}

/** 20 users who send 200 messages a second in all, in rooms of two. */
async function bystanders(server) {
  const users = [];
  for (let n = 0; n < 20; n++) users.push(await member(server, `by-${n}`, `by-${n >> 1}`));
  return (ended) =>
    onSchedule(200, ended, (n) =>
      done(users[n % 20], "chat:send_message", { room: `by-${(n % 20) >> 1}`, text: `message ${n}` }),
    );
}

async function hook(path, seconds) {
  const hooks = fork(process.argv[1], ["--endpoint"]);
  const [port] = await once(hooks, "message");
  const server = await Pinned.of(path, {
    fill: (server) => {
      const config = join(server.folder, "roomful.toml");
      const secret = `whsec_${Buffer.alloc(32, 7).toString("base64")}`;
      const url = `http://127.0.0.1:${port}/`;
      const settings = { event: "message.send", url, secret, rooms: ["asked-*"], concurrency: 1_000 };
      const lines = Object.entries(settings).map(([key, value]) => `${key} = ${JSON.stringify(value)}`);
      writeFileSync(config, `[[hooks]]\n${lines.join("\n")}\n`);
      server.settings.args = ["--config", config];
    },
  });
  const calls = await bystanders(server);
  const senders = [];
  for (let n = 0; n < 100; n++) {
    const sender = await member(server, `sender-${n}`, `asked-${n}`);
    await done(sender, "chat:join", { room: `free-${n}` });
    senders.push(sender);
  }
  const sendsTo = (prefix) => async () => {
    const end = performance.now() + seconds * 1_000;
    const latencies = await onSchedule(
      ASKED,
      () => performance.now() > end,
      (n) =>
        done(senders[n % 100], "chat:send_message", { room: `${prefix}-${n % 100}`, text: `message ${n}` }),
    );
    const [sent, p99] = [latencies.length / seconds, quantile(latencies, 0.99)];
    console.log(`  beside: ${sent.toFixed(0)} ${prefix} sends a second, p99 ${p99.toFixed(1)} ms`);
  };
  await phase(server, "(warm-up)", calls, sendsTo("asked"));
  for (let round = 0; round < 3; round++) {
    await phase(server, "without a hook", calls, sendsTo("free"));
    await phase(server, "with the hook", calls, sendsTo("asked"));
  }
  hooks.disconnect();
  return server;
}

/** Imports the rooms and messages of a user before the server starts. */
async function fillRooms(server) {
  const lines = [];
  const at = Date.now() - 3_600_000;
  for (let room = 0; room < ROOMS; room++) {
    lines.push({ type: "room", room: `room-${room}`, createdAt: at });
    lines.push({ type: "member", room: `room-${room}`, userId: "gone" });
    for (let n = 0; n < MESSAGES; n++) {
      const text = `message ${n} of a user who will be erased`;
      lines.push({ type: "message", room: `room-${room}`, id: `m${n}`, userId: "gone", text, at: at + n });
    }
  }
  const file = join(server.folder, "import.ndjson");
  writeFileSync(file, lines.map((line) => JSON.stringify(line)).join("\n"));
  const data = join(server.folder, "data");
  const child = spawn(server.path, ["import", file, "--data", data], { stdio: ["ignore", "ignore", "pipe"] });
  const errors = [];
  child.stderr.on("data", (text) => errors.push(text));
  const [code] = await once(child, "exit");
  if (code !== 0) throw new Error(`the import failed: ${Buffer.concat(errors)}`);
}

async function erasure(path, seconds, messages) {
  const env = { ROOMFUL__LIMITS__ROOMS_PER_SOCKET: `${ROOMS}` };
  const server = await Pinned.of(path, { env, fill: fillRooms });
  const calls = await bystanders(server);
  const user = await person(server, "gone");
  for (let room = 0; room < ROOMS; room++) await done(user, "chat:join", { room: `room-${room}`, limit: 0 });
  for (let n = 0; n < 20; n++) await member(server, `reader-${n}`, `room-${n}`);
  const wait = () => sleep(seconds * 1_000);
  await phase(server, "(warm-up)", calls, wait);
  await phase(server, "before", calls, wait);
  await phase(server, `erasure (${messages})`, calls, async () => {
    const url = `${server.url}/api/v1/users/gone?messages=${messages}`;
    const headers = { authorization: `Bearer ${API_KEY}` };
    const answer = await fetch(url, { method: "DELETE", headers });
    if (!answer.ok) throw new Error(`the erasure answered ${answer.status}: ${await answer.text()}`);
    await answer.text();
  });
  await phase(server, "after", calls, wait);
  return server;
}

/** A masked WebSocket frame with a text. */
function frame(text) {
  const payload = Buffer.from(text);
  const { length } = payload;
  const size = length < 126 ? [0x80 | length] : [0xfe, length >> 8, length & 0xff];
  return Buffer.concat([Buffer.from([0x81, ...size, 0, 0, 0, 0]), payload]);
}

/** A member of the room `hall` that reads and discards everything after its join. */
function crowdMember({ host, port }, n) {
  const socket = connect(port, host);
  const lines = ["Host: test", "Connection: Upgrade", "Upgrade: websocket", "Sec-WebSocket-Version: 13"];
  const path = "/socket.io/?EIO=4&transport=websocket";
  const upgrade = [`GET ${path} HTTP/1.1`, ...lines, "Sec-WebSocket-Key: AAAAAAAAAAAAAAAAAAAAAA==", "", ""];
  return new Promise((resolve, reject) => {
    let step = 0;
    const steps = [
      ["101 Switching", () => socket.write(frame(`40{"token":"${tokenFor(`m-${n}`)}"}`))],
      ['40{"sid"', () => socket.write(frame('420["chat:join",{"room":"hall","limit":1}]'))],
      ['430[{"ok":true', () => resolve(socket)],
    ];
    socket.on("connect", () => socket.write(upgrade.join("\r\n")));
    socket.on("error", reject);
    socket.on("close", () => reject(new Error(`the server closed the connection of member ${n}`)));
    let seen = "";
    socket.on("data", (bytes) => {
      if (step === steps.length) return;
      seen += bytes.toString("latin1");
      while (step < steps.length && seen.includes(steps[step][0])) steps[step++][1]();
      if (step === steps.length) seen = "";
    });
  });
}

/** All members of the room, in a process of its own. It tells its parent when all are in. */
async function crowd(url) {
  const { hostname: host, port } = new URL(url);
  for (let n = 0; n < MEMBERS; n += 50) {
    await Promise.all(Array.from({ length: 50 }, (_, m) => crowdMember({ host, port }, n + m)));
  }
  process.send("ready");
  process.on("disconnect", () => process.exit(0));
}

async function room(path, seconds) {
  const server = await Pinned.of(path, { env: { ROOMFUL__SOCKET__PING_INTERVAL: "10m" } });
  const users = [];
  for (let n = 0; n < 20; n++) {
    users.push(await member(server, `by-${n}`, `by-${n}`));
    for (let m = 0; m < 50; m++) {
      await done(users[n], "chat:send_message", { room: `by-${n}`, text: `message ${m}` });
    }
  }
  const calls = (ended) =>
    onSchedule(100, ended, (n) => done(users[n % 20], "chat:join", { room: `by-${n % 20}` }));
  // The crowd gives way to the calls, since both share a core.
  const command = ["-o", "0", "nice", process.execPath, process.argv[1], "--crowd", server.url];
  const gathering = spawn("chrt", command, { stdio: ["ignore", "inherit", "inherit", "ipc"] });
  await once(gathering, "message");
  const speaker = await member(server, "speaker", "hall");
  const speak = (perSecond) => async () => {
    const end = performance.now() + seconds * 1_000;
    await onSchedule(
      perSecond,
      () => performance.now() > end,
      (n) => done(speaker, "chat:send_message", { room: "hall", text: `message ${n}` }),
    );
  };
  await phase(server, "(warm-up)", calls, speak(1));
  await phase(server, "a quiet room", calls, () => sleep(seconds * 1_000));
  for (const perSecond of [1, 2, 4]) {
    await phase(server, `${perSecond} messages a second`, calls, speak(perSecond));
  }
  gathering.disconnect();
  return server;
}

async function main() {
  const [binary, workload, seconds = "10"] = process.argv.slice(2);
  const workloads = {
    hook,
    room,
    erase: (path, seconds) => erasure(path, seconds, "delete"),
    anonymise: (path, seconds) => erasure(path, seconds, "anonymise"),
  };
  if (!workloads[workload]) {
    console.error("usage: node scripts/beside.mjs BINARY hook|erase|anonymise|room [SECONDS]");
    process.exit(2);
  }
  const server = await workloads[workload](resolve(binary), Number(seconds));
  leaveAll();
  await server.stop();
  process.exit(0);
}

if (process.argv[2] === "--endpoint") {
  await endpoint();
} else if (process.argv[2] === "--crowd") {
  await crowd(process.argv[3]);
} else {
  await main();
}
