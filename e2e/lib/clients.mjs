// The stock clients of the matrix: how each is built, and a running one as events and acks.

import { execFileSync, spawn, spawnSync } from "node:child_process";
import { existsSync, mkdirSync } from "node:fs";
import { join } from "node:path";
import { createInterface } from "node:readline";

import { ROOT } from "./process.mjs";
import { within } from "./waiting.mjs";

const SOURCES = join(ROOT, "e2e/clients");
const BUILDS = join(process.env.CARGO_TARGET_DIR ?? join(ROOT, "target"), "e2e-clients");

/** Milliseconds for a build on a fresh machine, downloads included. */
const BUILD = 600_000;

const installed = (program, ...args) => spawnSync(program, args, { stdio: "ignore" }).status === 0;

function build(name, program, args, env = {}) {
  const cwd = join(SOURCES, name);
  mkdirSync(join(BUILDS, name), { recursive: true });
  const options = { cwd, env: { ...process.env, ...env }, encoding: "utf8", stdio: "pipe", timeout: BUILD };
  execFileSync(program, args, options);
}

/** The virtual environment that `make setup` creates. */
const python = () => join(ROOT, "e2e/.venv/bin/python");

/**
 * Each client library: `missing` names a missing toolchain, `build` builds the program, `command` starts
 * it. `recovers` tells whether the library implements connection state recovery. `givesUp` lists the
 * transports over which the library stops reconnecting after one refused attempt, whatever the server does.
 * `silent` lists those over which it connects again after the server ended its connection, and then sends
 * nothing more.
 */
export const CLIENTS = [
  {
    name: "JavaScript",
    recovers: true,
    command: [process.execPath, join(SOURCES, "js/client.mjs")],
  },
  {
    name: "Python, threaded",
    missing: () => !existsSync(python()) && "e2e/.venv, which `make setup` creates",
    command: [python(), join(SOURCES, "python/threaded.py")],
  },
  {
    name: "Python, asyncio",
    missing: () => !existsSync(python()) && "e2e/.venv, which `make setup` creates",
    command: [python(), join(SOURCES, "python/asynchronous.py")],
  },
  {
    name: "Java",
    missing: () => !installed("mvn", "--version") && "Maven",
    build: () =>
      build("java", "mvn", ["--quiet", "--batch-mode", `-Dout=${join(BUILDS, "java")}`, "package"]),
    command: [
      "java",
      "-cp",
      `${join(BUILDS, "java/classes")}:${join(BUILDS, "java/lib")}/*`,
      "roomful.Client",
    ],
  },
  {
    name: "Go",
    recovers: true,
    // With both transports, it begins with either: it keeps them in a set without an order.
    givesUp: ["websocket", "upgrade"],
    silent: ["polling"],
    missing: () => !installed("go", "version") && "Go",
    build: () => build("go", "go", ["build", "-o", join(BUILDS, "go/client"), "."]),
    command: [join(BUILDS, "go/client")],
  },
  {
    name: "Rust",
    // Its dependencies take minutes to compile, so `make test` leaves it out.
    missing: () => !process.env.ALL_CLIENTS && "ALL_CLIENTS=1, since its build takes minutes",
    build: () => build("rust", "cargo", ["build", "--locked"], { CARGO_TARGET_DIR: join(BUILDS, "rust") }),
    command: [join(BUILDS, "rust/debug/roomful-e2e-client")],
  },
];

/** A running client program. It queues the lines that it prints until a test asks for them. */
export class Client {
  #lines = [];
  #waiting = [];
  #next = 0;

  constructor([program, ...args], url, token, transport) {
    this.child = spawn(program, [...args, url, token, transport], { stdio: ["pipe", "pipe", "pipe"] });
    this.errors = "";
    this.child.stderr.on("data", (text) => (this.errors += text));
    createInterface({ input: this.child.stdout }).on("line", (text) => this.#take(JSON.parse(text)));
  }

  #take(line) {
    const waiting = this.#waiting.findIndex(({ wanted }) => wanted(line));
    if (waiting < 0) this.#lines.push(line);
    else this.#waiting.splice(waiting, 1)[0].resolve(line);
  }

  /** The first line of this kind that satisfies `wanted`, printed already or still to come. */
  next(kind, wanted = () => true, patience) {
    const fits = (line) => line.kind === kind && wanted(line);
    const found = this.#lines.findIndex(fits);
    if (found >= 0) return Promise.resolve(this.#lines.splice(found, 1)[0]);
    const promise = new Promise((resolve) => this.#waiting.push({ wanted: fits, resolve }));
    return within(promise, () => `a line of kind ${kind}; stderr: ${this.errors.slice(-2000)}`, patience);
  }

  /** The number of lines that satisfy `wanted` and that no test has asked for. */
  unread(wanted) {
    return this.#lines.filter(wanted).length;
  }

  /** Emits an event with an ack and resolves to the ack's first argument. */
  async call(event, payload) {
    const id = ++this.#next;
    this.child.stdin.write(`${JSON.stringify({ id, event, payload })}\n`);
    return (await this.next("ack", (line) => line.id === id)).data;
  }

  /** Like `call`, but resolves to the data and fails on an error. */
  async done(event, payload) {
    const { ok, data, error } = await this.call(event, payload);
    if (!ok) throw new Error(`${event} failed: ${JSON.stringify(error)}`);
    return data;
  }

  /** Stops the process, so that it reads nothing, until `thaw`. */
  freeze() {
    this.child.kill("SIGSTOP");
  }

  thaw() {
    this.child.kill("SIGCONT");
  }

  stop() {
    this.child.kill("SIGKILL");
  }
}
