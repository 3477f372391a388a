// Programs around a cluster: PostgreSQL and Redis behind the nodes, nginx and HAProxy in front. Each is the
// system's own program, with a free port and its own folder.

import { once } from "node:events";
import { chownSync, existsSync, readFileSync, readdirSync, writeFileSync } from "node:fs";
import { createConnection, createServer } from "node:net";
import { delimiter, join } from "node:path";
import { spawnSync } from "node:child_process";

import { Program, ROOT } from "./process.mjs";

/** A port that was free a moment ago, for programs that cannot report the port they chose. */
export async function freePort() {
  const server = createServer().listen(0, "127.0.0.1");
  await once(server, "listening");
  const { port } = server.address();
  server.close();
  return port;
}

/** True if a program accepts connections on `port`. */
export async function accepts(port) {
  const socket = createConnection(port, "127.0.0.1");
  try {
    await once(socket, "connect");
    return true;
  } finally {
    socket.destroy();
  }
}

/** The path of a program, also in folders that Debian leaves out of a user's PATH. */
export function find(name, folders = []) {
  const all = [...(process.env.PATH ?? "").split(delimiter), "/usr/sbin", "/sbin", ...folders];
  const found = all.map((folder) => join(folder, name)).find((path) => existsSync(path));
  if (!found) throw new Error(`${name} is not installed; scripts/setup.sh test does that`);
  return found;
}

/** Runs a program to its end. */
function run(path, args, options = {}) {
  const { status, error, stdout, stderr } = spawnSync(path, args, { encoding: "utf8", ...options });
  if (error || status !== 0)
    throw new Error(`${path} ${args.join(" ")}: ${error ?? status}\n${stdout}${stderr}`);
  return stdout;
}

/** PostgreSQL refuses to run as root: as root, use the user `postgres` or `nobody`. */
function postgresUser() {
  if (process.getuid() !== 0) return {};
  const users = readFileSync("/etc/passwd", "utf8")
    .split("\n")
    .map((line) => line.split(":"));
  const user = ["postgres", "nobody"].map((name) => users.find(([own]) => own === name)).find(Boolean);
  return { uid: Number(user[2]), gid: Number(user[3]) };
}

export class Postgres extends Program {
  static async start() {
    const program = new Postgres();
    const home = "/usr/lib/postgresql";
    const versions = existsSync(home) ? readdirSync(home).sort((a, b) => b - a) : [];
    const folders = versions.map((version) => join(home, version, "bin"));
    const as = { ...postgresUser(), cwd: "/" };
    if (as.uid !== undefined) chownSync(program.folder, as.uid, as.gid);
    const data = join(program.folder, "data");
    const initdb = [
      "--pgdata",
      data,
      "--username",
      "roomful",
      "--auth",
      "trust",
      "--encoding",
      "UTF8",
      "--locale",
      "C",
      "--no-sync",
    ];
    run(find("initdb", folders), initdb, as);
    const port = await freePort();
    const settings = [
      "-D",
      data,
      "-p",
      String(port),
      "-h",
      "127.0.0.1",
      "-k",
      program.folder,
      "-c",
      "fsync=off",
    ];
    // A shell ends PostgreSQL however this process ends: a killed postmaster would leave its children.
    // A frozen postmaster needs SIGCONT to receive the signal.
    const keeper =
      'folder=$1; shift; "$@" </dev/null & cat >/dev/null; kill -QUIT $!; kill -CONT $!; wait; rm -rf "$folder"';
    const args = ["-c", keeper, "keeper", program.folder, find("postgres", folders), ...settings];
    program.launch("/bin/sh", args, { LC_ALL: "C" }, { stdin: "pipe", ...as });
    program.port = port;
    program.url = `postgres://roomful@127.0.0.1:${port}/postgres`;
    const ready = ["--quiet", "--host", "127.0.0.1", "--port", String(port)];
    await program.ready(() => spawnSync(find("pg_isready", folders), ready, as).status === 0, "PostgreSQL");
    return program;
  }

  /** Freezes PostgreSQL: connections stay open, and no query gets an answer. */
  freeze() {
    this.#all("SIGSTOP");
  }

  thaw() {
    this.#all("SIGCONT");
  }

  /** Sends `signal` to the postmaster first, since a frozen postmaster starts no more children. */
  #all(signal) {
    const [postmaster] = readFileSync(join(this.folder, "data", "postmaster.pid"), "utf8").split("\n");
    process.kill(Number(postmaster), signal);
    const children = readFileSync(`/proc/${postmaster}/task/${postmaster}/children`, "utf8")
      .trim()
      .split(/\s+/);
    for (const child of children) {
      try {
        process.kill(Number(child), signal);
      } catch (error) {
        // The child has just ended.
        if (error.code !== "ESRCH") throw error;
      }
    }
  }

  async end() {
    this.child.stdin.end();
    return this.ended;
  }
}

export class Redis extends Program {
  static async start() {
    const program = new Redis();
    const port = await freePort();
    program.launch(find("redis-server"), [
      "--port",
      String(port),
      "--bind",
      "127.0.0.1",
      "--save",
      "",
      "--dir",
      program.folder,
    ]);
    program.url = `redis://127.0.0.1:${port}`;
    await program.ready(() => accepts(port), "Redis");
    return program;
  }
}

/** A TCP proxy to a program that a test can cut. */
export class Line {
  #to;
  #streams = new Set();
  #whole = true;

  static async to(port) {
    const line = new Line();
    line.#to = port;
    line.server = createServer((near) => line.#join(near)).listen(0, "127.0.0.1");
    await once(line.server, "listening");
    line.port = line.server.address().port;
    return line;
  }

  #join(near) {
    if (!this.#whole) return near.destroy();
    const far = createConnection(this.#to, "127.0.0.1");
    for (const [from, into] of [
      [near, far],
      [far, near],
    ]) {
      this.#streams.add(from);
      from.pipe(into);
      // When one side ends, close the other.
      from
        .on("error", () => into.destroy())
        .on("close", () => {
          this.#streams.delete(from);
          into.destroy();
        });
    }
  }

  /** Closes all connections and refuses new ones. */
  cut() {
    this.#whole = false;
    for (const stream of this.#streams) stream.destroy();
  }

  mend() {
    this.#whole = true;
  }

  stop() {
    this.cut();
    this.server.close();
  }
}

/** A recipe of deploy/ with these nodes ("host:port") instead of its own, and `port` instead of 80. */
function recipe(path, nodes, port) {
  const text = readFileSync(join(ROOT, "deploy", path), "utf8");
  const pair = /^(.*)node1:3000(.*)\n.*node2:3000.*$/gm;
  const bind = /^(\s*(?:listen|bind) ):?80\b/m;
  if (!pair.test(text) || !bind.test(text))
    throw new Error(`deploy/${path} does not name two nodes and port 80`);
  const all = (_, before, after) =>
    nodes.map((node, n) => [before, node, after].join("").replaceAll("node1", `node${n + 1}`)).join("\n");
  return text.replace(bind, `$1127.0.0.1:${port}`).replaceAll(pair, all);
}

class Proxy extends Program {
  /** Starts a proxy with a recipe, after its own configuration check. */
  static async start(path, nodes) {
    const program = new this();
    const port = await freePort();
    program.url = `http://127.0.0.1:${port}`;
    program.configure(recipe(path, nodes, port));
    await program.ready(() => accepts(port), path);
    return program;
  }
}

export class Nginx extends Proxy {
  configure(site) {
    const [own, main] = ["site", "nginx"].map((name) => join(this.folder, `${name}.conf`));
    writeFileSync(own, site);
    const folders = ["client_body", "proxy", "fastcgi", "uwsgi", "scgi"].map(
      (name) => `${name}_temp_path ${this.folder}/${name};`,
    );
    writeFileSync(
      main,
      `daemon off; master_process off; pid ${this.folder}/pid; error_log stderr warn;
       events { worker_connections 512; }
       http { access_log off; ${folders.join(" ")} include ${own}; }`,
    );
    const args = ["-c", main, "-e", "stderr"];
    run(find("nginx"), ["-t", ...args]);
    this.launch(find("nginx"), args);
  }
}

export class HAProxy extends Proxy {
  configure(text) {
    const path = join(this.folder, "haproxy.cfg");
    writeFileSync(path, text);
    run(find("haproxy"), ["-c", "-q", "-f", path]);
    this.launch(find("haproxy"), ["-db", "-f", path]);
  }
}
