// Programs around a cluster: PostgreSQL and Redis behind the nodes, nginx and HAProxy in front. Each is the
// system's own program, with a free port and its own folder.

import { once } from "node:events";
import { chownSync, existsSync, readFileSync, readdirSync, rmSync, writeFileSync } from "node:fs";
import { createConnection, createServer } from "node:net";
import { delimiter, join } from "node:path";
import { createInterface } from "node:readline";
import { spawn, spawnSync } from "node:child_process";

import { Program, ROOT, binary, ownEnvironment } from "./process.mjs";
import { until } from "./waiting.mjs";

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

/** The state of a process; empty if it has just gone. */
function status(id) {
  try {
    return readFileSync(`/proc/${id}/status`, "utf8");
  } catch {
    return "";
  }
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
    await program.init();
    await program.launchServer();
    return program;
  }

  /** Creates the data folder, with further `options` of initdb. */
  async init(options = []) {
    const home = "/usr/lib/postgresql";
    const versions = existsSync(home) ? readdirSync(home).sort((a, b) => b - a) : [];
    this.binaries = versions.map((version) => join(home, version, "bin"));
    this.as = { ...postgresUser(), cwd: "/" };
    if (this.as.uid !== undefined) chownSync(this.folder, this.as.uid, this.as.gid);
    this.data = join(this.folder, "data");
    const user = ["--username", "roomful", "--auth", "trust", "--encoding", "UTF8", "--locale", "C"];
    const args = ["--pgdata", this.data, ...user, "--no-sync", ...options];
    run(find("initdb", this.binaries), args, this.as);
    this.port = await freePort();
    this.url = `postgres://roomful@127.0.0.1:${this.port}/postgres`;
  }

  /** Starts the server on its data folder. */
  async launchServer(settings = ["fsync=off"], env = {}) {
    const port = String(this.port);
    const listen = ["-D", this.data, "-p", port, "-h", "127.0.0.1", "-k", this.folder];
    // A shell ends PostgreSQL however this process ends: a killed postmaster would leave its children.
    // A frozen postmaster needs SIGCONT to receive the signal. The folder stays if it has a file "keep".
    const keeper =
      'folder=$1; shift; "$@" </dev/null & cat >/dev/null; kill -QUIT $!; kill -CONT $!; wait; ' +
      '[ -e "$folder/keep" ] || rm -rf "$folder"';
    const server = [find("postgres", this.binaries), ...listen, ...settings.flatMap((one) => ["-c", one])];
    const args = ["-c", keeper, "keeper", this.folder, ...server];
    this.launch("/bin/sh", args, { LC_ALL: "C", ...env }, { stdin: "pipe", ...this.as });
    const ask = ["--quiet", "--host", "127.0.0.1", "--port", port];
    const isReady = () => spawnSync(find("pg_isready", this.binaries), ask, this.as).status === 0;
    await this.ready(isReady, "PostgreSQL");
  }

  /** Freezes PostgreSQL: connections stay open, and no query gets an answer. */
  freeze() {
    // The postmaster first, since a frozen one starts no more children.
    process.kill(this.#processes()[0], "SIGSTOP");
    this.#all("SIGSTOP");
  }

  thaw() {
    this.#all("SIGCONT");
  }

  /** Kills all processes at once. The data folder stays as it is, for another start. */
  async kill() {
    writeFileSync(join(this.folder, "keep"), "");
    this.freeze();
    const processes = this.#processes();
    this.#all("SIGKILL");
    await this.end();
    const isGone = (id) => !existsSync(`/proc/${id}`) || /^State:\s+Z/m.test(status(id));
    await until(() => processes.every(isGone), "the end of PostgreSQL");
    rmSync(join(this.folder, "keep"));
  }

  /** The ids of the postmaster and of its children. */
  #processes() {
    const [postmaster] = readFileSync(join(this.data, "postmaster.pid"), "utf8").split("\n");
    const children = readFileSync(`/proc/${postmaster}/task/${postmaster}/children`, "utf8");
    return [postmaster, ...children.split(" ").filter(Boolean)].map(Number);
  }

  /** Sends `signal` to all processes, to the postmaster last. */
  #all(signal) {
    for (const id of this.#processes().reverse()) {
      try {
        process.kill(id, signal);
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

/** Redis, run by roomful-fixtures of the test kit. It ends with this process. */
export class Redis {
  static async start() {
    const redis = new Redis();
    redis.child = spawn(binary("FIXTURES_BIN", "roomful-fixtures"), ["redis"], {
      stdio: ["pipe", "pipe", "inherit"],
      env: ownEnvironment(),
    });
    const lines = createInterface({ input: redis.child.stdout })[Symbol.asyncIterator]();
    const { value, done } = await lines.next();
    if (done) throw new Error("roomful-fixtures redis has ended");
    redis.url = JSON.parse(value).redis;
    return redis;
  }

  /** Ends it and removes its files. */
  async stop() {
    const ended = once(this.child, "exit");
    this.child.stdin.end();
    await ended;
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
