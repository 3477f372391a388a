// The programs under test: each starts on a free port with its own folder, and ends with the test.

import { spawn } from "node:child_process";
import { once } from "node:events";
import { existsSync, mkdtempSync, openSync, closeSync, readFileSync, rmSync } from "node:fs";
import { tmpdir } from "node:os";
import { dirname, join } from "node:path";
import { fileURLToPath } from "node:url";

import { until } from "./waiting.mjs";

export const ROOT = join(dirname(fileURLToPath(import.meta.url)), "..", "..");
export const SECRET = "e2e-secret-0123456789-abcdefghijklmnop";
export const API_KEY = "e2e-api-key-0123456789-abcdefghijklmn";

/** The path in environment variable `variable`, or the first existing build of `name` under target/. */
export function binary(variable, name) {
  const given = process.env[variable];
  const target = process.env.CARGO_TARGET_DIR ?? join(ROOT, "target");
  const candidates = given ? [given] : ["debug", "release"].map((profile) => join(target, profile, name));
  const found = candidates.find((path) => existsSync(path));
  if (!found) throw new Error(`no ${name} at ${candidates.join(" or ")}: build it, or set ${variable}`);
  return found;
}

/** This process's environment without its settings of a server, which must not reach a program under test. */
export function ownEnvironment() {
  return Object.fromEntries(Object.entries(process.env).filter(([name]) => !name.startsWith("ROOMFUL_")));
}

/** Running programs; they end when a test run is interrupted. */
const running = new Set();
process.on("exit", () => {
  for (const child of running) child.kill("SIGKILL");
});

export class Program {
  constructor() {
    this.folder = mkdtempSync(join(tmpdir(), "roomful-e2e-"));
    this.portFile = join(this.folder, "port");
    this.child = undefined;
  }

  launch(path, args, env = {}, { stdin = "ignore", ...options } = {}) {
    const log = openSync(join(this.folder, "log"), "a");
    this.child = spawn(path, args, {
      env: { ...ownEnvironment(), ...env },
      stdio: [stdin, log, log],
      ...options,
    });
    closeSync(log);
    // A program that reads a pipe of ours notices our end by itself.
    if (stdin === "ignore") {
      const { child } = this;
      running.add(child);
      child.once("exit", () => running.delete(child));
    }
    this.ended = once(this.child, "exit").then(([code, signal]) => ({ code, signal }));
  }

  running() {
    return this.child.exitCode === null && this.child.signalCode === null;
  }

  log() {
    return readFileSync(join(this.folder, "log"), "utf8");
  }

  async ready(probe, what) {
    const done = await until(
      async () => !this.running() || (await probe()),
      () => `${what}; its log:\n${this.log()}`,
    );
    if (!this.running()) throw new Error(`${what}: it ended at once; its log:\n${this.log()}`);
    return done;
  }

  /** Waits for the port file that the process writes once it listens. */
  async listening() {
    const written = () => existsSync(this.portFile) && readFileSync(this.portFile, "utf8");
    await this.ready(() => written() && written().endsWith("\n"), "its port file");
    this.listen = written().trim();
    this.url = `http://${this.listen}`;
  }

  /** Ends the process with `signal` and resolves to its end: {code, signal}. */
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
    const env = { ROOMFUL_PORT_FILE: program.portFile };
    program.launch(binary("CONFORMANCE_BIN", "examples/conformance"), ["127.0.0.1:0"], env);
    await program.listening();
    return program;
  }
}

/** The real server. Its data folder stays until `stop`, or for good if the caller named it. */
export class Roomful extends Program {
  static async start({ args = [], env = {}, data } = {}) {
    const program = new Roomful();
    program.settings = { args, env, data };
    await program.launchServer("127.0.0.1:0");
    return program;
  }

  async launchServer(listen) {
    rmSync(this.portFile, { force: true });
    const { args, env, data = join(this.folder, "data") } = this.settings;
    const all = ["serve", "--listen", listen, "--data", data, ...args];
    const fixed = {
      ROOMFUL_AUTH_SECRET: SECRET,
      ROOMFUL_API_KEY: API_KEY,
      ROOMFUL_PORT_FILE: this.portFile,
    };
    this.launch(binary("ROOMFUL_BIN", "roomful"), all, { ...fixed, ...env });
    await this.listening();
    await this.ready(async () => (await fetch(`${this.url}/readyz`)).ok, "/readyz to answer 200");
  }

  /** Restarts the server on the same data and address. */
  async restart() {
    await this.launchServer(this.listen);
  }
}
