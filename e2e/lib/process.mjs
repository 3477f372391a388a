// The programs under test: started on a free port with a folder of their own, ended with the test.

import { spawn } from "node:child_process";
import { once } from "node:events";
import { existsSync, mkdtempSync, openSync, closeSync, readFileSync, rmSync } from "node:fs";
import { createServer, connect } from "node:net";
import { tmpdir } from "node:os";
import { dirname, join } from "node:path";
import { fileURLToPath } from "node:url";

import { until } from "./waiting.mjs";

const ROOT = join(dirname(fileURLToPath(import.meta.url)), "..", "..");
export const SECRET = "e2e-secret-0123456789-abcdefghijklmnop";
export const API_KEY = "e2e-api-key-0123456789-abcdefghijklmn";

/** The path in environment variable `variable`, or the newest build among `names` under target/. */
function binary(variable, name) {
  const given = process.env[variable];
  const target = process.env.CARGO_TARGET_DIR ?? join(ROOT, "target");
  const candidates = given ? [given] : ["debug", "release"].map((profile) => join(target, profile, name));
  const found = candidates.find((path) => existsSync(path));
  if (!found) throw new Error(`no ${name} at ${candidates.join(" or ")}: build it, or set ${variable}`);
  return found;
}

async function freePort() {
  const server = createServer().listen(0, "127.0.0.1");
  await once(server, "listening");
  const { port } = server.address();
  server.close();
  await once(server, "close");
  return port;
}

function accepts(port) {
  return new Promise((resolve) => {
    const socket = connect(port, "127.0.0.1");
    socket.on("connect", () => resolve(true)).on("error", () => resolve(false));
    socket.on("connect", () => socket.destroy());
  });
}

class Program {
  constructor() {
    this.folder = mkdtempSync(join(tmpdir(), "roomful-e2e-"));
    this.child = undefined;
  }

  launch(path, args, env = {}) {
    // Nothing of the caller's own settings may leak into what is tested.
    const own = Object.entries(process.env).filter(([name]) => !name.startsWith("ROOMFUL_"));
    const log = openSync(join(this.folder, "log"), "a");
    this.child = spawn(path, args, { env: { ...Object.fromEntries(own), ...env }, stdio: ["ignore", log, log] });
    closeSync(log);
    this.ended = once(this.child, "exit").then(([code, signal]) => ({ code, signal }));
  }

  running() {
    return this.child.exitCode === null && this.child.signalCode === null;
  }

  log() {
    return readFileSync(join(this.folder, "log"), "utf8");
  }

  async ready(probe, what) {
    const done = await until(async () => !this.running() || (await probe()), `${what}; its log:\n${this.log()}`);
    if (!this.running()) throw new Error(`${what}: it ended at once; its log:\n${this.log()}`);
    return done;
  }

  /** Ends the process with `signal` and says how it ended: {code, signal}. */
  async end(signal) {
    if (this.running()) this.child.kill(signal);
    return this.ended;
  }

  /** Ends the process and removes its files. */
  async stop() {
    await this.end("SIGKILL");
    rmSync(this.folder, { recursive: true, force: true });
  }
}

/** The conformance example of roomful-socket. */
export class Conformance extends Program {
  static async start() {
    const program = new Conformance();
    program.port = await freePort();
    program.url = `http://127.0.0.1:${program.port}`;
    program.launch(binary("CONFORMANCE_BIN", "examples/conformance"), [`127.0.0.1:${program.port}`]);
    await program.ready(() => accepts(program.port), "the conformance example to listen");
    return program;
  }
}

/** The real server: one data folder that outlives the process until `stop`. */
export class Roomful extends Program {
  static async start({ args = [], env = {} } = {}) {
    const program = new Roomful();
    program.settings = { args, env };
    program.listen = "127.0.0.1:0";
    await program.launchServer();
    return program;
  }

  async launchServer() {
    const portFile = join(this.folder, "port");
    rmSync(portFile, { force: true });
    const { args, env } = this.settings;
    const all = ["serve", "--listen", this.listen, "--data", join(this.folder, "data"), ...args];
    const fixed = { ROOMFUL_AUTH_SECRET: SECRET, ROOMFUL_API_KEY: API_KEY, ROOMFUL_PORT_FILE: portFile };
    this.launch(binary("ROOMFUL_BIN", "roomful"), all, { ...fixed, ...env });
    await this.ready(() => existsSync(portFile) && readFileSync(portFile, "utf8").endsWith("\n"), "its port file");
    this.listen = readFileSync(portFile, "utf8").trim();
    this.url = `http://${this.listen}`;
    await this.ready(async () => (await fetch(`${this.url}/readyz`)).ok, "/readyz to answer 200");
  }

  /** Starts it again on the same data and the same address. */
  async restart() {
    await this.launchServer();
  }
}
