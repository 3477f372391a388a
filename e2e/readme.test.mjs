// README's cluster commands, run as written: two nodes in two terminals.

import assert from "node:assert/strict";
import { execFileSync } from "node:child_process";
import { mkdtempSync, readFileSync, rmSync, symlinkSync } from "node:fs";
import { tmpdir } from "node:os";
import { delimiter, join } from "node:path";
import { after, afterEach, before, test } from "node:test";

import { Postgres, Redis, freePort } from "./lib/backing.mjs";
import { done, heard, leaveAll, stranger } from "./lib/people.mjs";
import { Program, ROOT, binary } from "./lib/process.mjs";
import { within } from "./lib/waiting.mjs";

/** The cluster commands of README: the line of variables, and one line per terminal. */
function commands() {
  const readme = readFileSync(join(ROOT, "README.md"), "utf8");
  const block = /two commands are a cluster:\n\n```sh\n(.*?)\n```\n/s.exec(readme);
  assert.ok(block, "README has the commands of a cluster");
  const lines = block[1].split("\n");
  const isVariable = (line) => line.startsWith("export ");
  const variables = lines.filter(isVariable).join("\n");
  assert.notEqual(variables, "");
  const terminals = lines.filter((line) => !isVariable(line));
  assert.deepEqual(
    terminals.map((line) => /^roomful serve /.test(line)),
    [true, true],
    block[1],
  );
  return { variables, terminals };
}

/** `text` with its only `from` replaced by `to`. */
function put(text, from, to) {
  const parts = text.split(from);
  assert.equal(parts.length, 2, `${from} in: ${text}`);
  return parts.join(to);
}

/** A terminal that runs one command. */
class Terminal extends Program {
  constructor(line, cwd, env) {
    super();
    // `exec` replaces the shell, so that signals reach the command.
    this.launch("/bin/sh", ["-c", `exec ${line}`], env, { cwd });
  }
}

let postgres, redis, folder;
before(async () => {
  [postgres, redis] = await Promise.all([Postgres.start(), Redis.start()]);
  folder = mkdtempSync(join(tmpdir(), "roomful-e2e-"));
  symlinkSync(binary("ROOMFUL_BIN", "roomful"), join(folder, "roomful"));
});
afterEach(leaveAll);
after(async () => {
  await Promise.all([redis?.stop(), postgres?.stop()]);
  if (folder) rmSync(folder, { recursive: true, force: true });
});

test("README's two commands are a cluster", async () => {
  const { variables, terminals } = commands();
  const path = { PATH: [folder, process.env.PATH].join(delimiter) };
  // Replace only the password and the ports, which differ on every machine.
  const own = put(
    put(variables, "postgres://roomful:…@127.0.0.1/roomful", postgres.url),
    "redis://127.0.0.1",
    redis.url,
  );
  const shell = { cwd: folder, env: path, encoding: "utf8" };
  const exported = execFileSync("/bin/sh", ["-ec", `${own}\nenv -0`], shell)
    .split("\0")
    .filter((line) => line.startsWith("ROOMFUL_"));
  const env = { ...path, ...Object.fromEntries(exported.map((line) => line.split(/=(.*)/s, 2))) };
  const ports = [await freePort(), await freePort()];
  const nodes = [];
  try {
    for (const [n, line] of terminals.entries()) {
      const address = `127.0.0.1:${ports[n]}`;
      const node = new Terminal(put(line, `127.0.0.1:${3000 + n}`, address), folder, env);
      node.url = `http://${address}`;
      nodes.push(node);
    }
    for (const node of nodes)
      await node.ready(async () => (await fetch(`${node.url}/readyz`)).ok, "/readyz to answer 200");

    const token = (user) => execFileSync("roomful", ["token", "--user", user], { ...shell, env }).trim();
    const people = ["alice", "bob"].map((user, n) => stranger(nodes[n], { token: token(user) }));
    for (const one of people) {
      await heard(one, "session");
      await done(one, "chat:join", { room: "lobby" });
    }
    const [alice, bob] = people;
    for (const [from, to, text] of [
      [alice, bob, "hello, other node"],
      [bob, alice, "hello back"],
    ]) {
      await done(from, "chat:send_message", { room: "lobby", text });
      await heard(to, "chat:receive_message", (message) => message.text === text);
    }
    for (const node of nodes) {
      // Like Ctrl-C.
      const { code } = await within(node.end("SIGINT"), "a node's end");
      assert.equal(code, 0, node.log());
    }
  } finally {
    await Promise.all(nodes.map((node) => node.stop()));
  }
});
