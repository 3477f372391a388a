// A real server for tests: a process with a temporary folder on a free port, behind a line with faults.

import { spawn, spawnSync, type ChildProcess } from "node:child_process";
import { randomBytes } from "node:crypto";
import { once } from "node:events";
import { closeSync, existsSync, mkdtempSync, openSync, readFileSync, rmSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";

import { mintToken, type TokenClaims } from "../../server/src/token.ts";
import { findBinary } from "./binary.ts";
import { faultsOf, type Faults } from "./faults.ts";
import { Line } from "./line.ts";

/** Milliseconds between two looks at a starting server. */
const LOOK_EVERY = 10;

/** Options of a server for tests. */
export interface RoomfulOptions {
  /** Path of the binary. Default: see `findBinary`. */
  readonly binary?: string;
  /** Environment variables, such as `{ ROOMFUL__LIMITS__TEXT: "1KB" }`, which override test defaults. */
  readonly env?: Readonly<Record<string, string>>;
  /** Further arguments of `roomful serve`, such as `["--config", "roomful.toml"]`. */
  readonly args?: readonly string[];
  /** Milliseconds that a start may take. Default: 20,000. */
  readonly startTimeout?: number;
}

/** Claims of a token for tests. */
export interface TestTokenOptions extends Omit<TokenClaims, "user"> {
  /** Lifetime in seconds. Default: one hour. */
  readonly ttl?: number;
  /** Default: now. */
  readonly issuedAt?: Date;
}

/** A running server. */
export interface TestRoomful {
  /** The address for clients. Faults of the network apply to it. */
  readonly url: string;
  /** The server's own address, past the faults of the network.. */
  readonly directUrl: string;
  /** The key of the HTTP API. */
  readonly apiKey: string;
  /** The secret that signs tokens. */
  readonly secret: string;
  /** The temporary folder. `data` in it is the server's data folder. */
  readonly folder: string;
  readonly faults: Faults;
  /** The id of the server's process. */
  readonly pid: number | undefined;
  /** A token for a user. */
  token(user: string, options?: TestTokenOptions): string;
  /**
   * Calls the HTTP API, past the faults of the network: `api("PUT", "rooms/lobby", {})`. Resolves to the JSON
   * of the answer, and rejects if the status is an error.
   */
  api<T = unknown>(method: string, path: string, body?: object): Promise<T>;
  /** Runs a command of the binary on the server's data, such as `new-epoch`. Some need a stopped server. */
  command(...args: string[]): string;
  /** Ends the process with SIGKILL, as a crash does. The data stays. */
  kill(): Promise<void>;
  /** Stops the process as a deployment does. The data stays. */
  shutDown(): Promise<void>;
  /** Starts a killed or stopped server on the same data and address. */
  start(): Promise<void>;
  /** `shutDown`, then `start`. */
  restart(): Promise<void>;
  /** What the server has logged. */
  log(): string;
  /** Ends the server and removes its folder. Call it after the tests. */
  stop(): Promise<void>;
  /** The same, at the end of a block that begins with `await using`. */
  [Symbol.asyncDispose](): Promise<void>;
}

/**
 * Starts a server with an empty database. It has no rate limits, allows every web origin, and stops at once.
 *
 * @throws Error if there is no binary, or the server does not start; the message has its log.
 */
export async function startRoomful(options: RoomfulOptions = {}): Promise<TestRoomful> {
  const server = new Server(options);
  try {
    await server.open();
  } catch (error) {
    await server.stop();
    throw error;
  }
  return server;
}

/** Processes to end with this one, if a run is interrupted. */
const running = new Set<ChildProcess>();
process.on("exit", () => running.forEach((child) => child.kill("SIGKILL")));

class Server implements TestRoomful {
  readonly secret = randomBytes(24).toString("hex");
  readonly apiKey = randomBytes(24).toString("hex");
  readonly folder = mkdtempSync(join(tmpdir(), "roomful-test-"));
  faults!: Faults;
  readonly #options: RoomfulOptions;
  readonly #binary: string;
  #line?: Line;
  #child?: ChildProcess;
  #port = 0;

  constructor(options: RoomfulOptions) {
    this.#options = options;
    this.#binary = findBinary(options.binary);
  }

  async open(): Promise<void> {
    await this.start();
    this.#line = await Line.start(() => this.#port);
    this.faults = faultsOf(this.#line, (wanted) => this.#ask(wanted));
  }

  get url(): string {
    return `http://127.0.0.1:${this.#line?.port ?? this.#port}`;
  }

  get directUrl(): string {
    return `http://127.0.0.1:${this.#port}`;
  }

  get pid(): number | undefined {
    return this.#child?.pid;
  }

  token(user: string, { ttl, issuedAt, ...claims }: TestTokenOptions = {}): string {
    return mintToken(this.secret, { user, ...claims }, ttl, issuedAt);
  }

  async api<T>(method: string, path: string, body?: object): Promise<T> {
    const answer = await fetch(`${this.directUrl}/api/v1/${path}`, {
      method,
      headers: { authorization: `Bearer ${this.apiKey}`, "content-type": "application/json" },
      ...(body && { body: JSON.stringify(body) }),
    });
    const text = await answer.text();
    if (!answer.ok) throw new Error(`${method} ${path}: HTTP ${answer.status} ${text}`);
    return JSON.parse(text) as T;
  }

  command(...args: string[]): string {
    const all = [...args, "--data", join(this.folder, "data")];
    const { status, error, stdout, stderr } = spawnSync(this.#binary, all, {
      encoding: "utf8",
      env: this.#environment(),
    });
    if (status !== 0) throw new Error(`roomful ${args.join(" ")} failed: ${error ?? stderr}`);
    return stdout;
  }

  async start(): Promise<void> {
    if (this.#isRunning()) return;
    const portFile = join(this.folder, "port");
    rmSync(portFile, { force: true });
    const log = openSync(join(this.folder, "log"), "a");
    const listen = `127.0.0.1:${this.#port}`;
    const args = ["serve", "--dev", "--listen", listen, "--data", join(this.folder, "data")];
    const child = spawn(this.#binary, [...args, ...(this.#options.args ?? [])], {
      env: this.#environment(),
      stdio: ["ignore", log, log],
    });
    closeSync(log);
    this.#child = child;
    running.add(child);
    child.once("exit", () => running.delete(child));
    await once(child, "spawn");
    await this.#until("write its port file", () => {
      const text = existsSync(portFile) ? readFileSync(portFile, "utf8") : "";
      const [, port] = /:(\d+)\n$/.exec(text) ?? [];
      this.#port = Number(port ?? this.#port);
      return port !== undefined;
    });
    await this.#until("answer /readyz", async () => {
      const answer = await fetch(`${this.directUrl}/readyz`).catch(() => undefined);
      await answer?.arrayBuffer();
      return answer?.ok ?? false;
    });
  }

  kill(): Promise<void> {
    return this.#end("SIGKILL");
  }

  shutDown(): Promise<void> {
    return this.#end("SIGTERM");
  }

  async restart(): Promise<void> {
    await this.shutDown();
    await this.start();
  }

  log(): string {
    const file = join(this.folder, "log");
    return existsSync(file) ? readFileSync(file, "utf8") : "";
  }

  async stop(): Promise<void> {
    await this.kill();
    await this.#line?.stop();
    rmSync(this.folder, { recursive: true, force: true });
  }

  [Symbol.asyncDispose](): Promise<void> {
    return this.stop();
  }

  /** The caller's environment without its own settings of Roomful. */
  #environment(): NodeJS.ProcessEnv {
    const own = Object.entries(process.env).filter(([name]) => !name.startsWith("ROOMFUL_"));
    return {
      ...Object.fromEntries(own),
      ROOMFUL_AUTH_SECRET: this.secret,
      ROOMFUL_API_KEY: this.apiKey,
      ROOMFUL_PORT_FILE: join(this.folder, "port"),
      ROOMFUL_LIMITS: "off",
      ROOMFUL__HTTP__ORIGINS: '["*"]',
      ROOMFUL__SHUTDOWN__SPREAD: "0s",
      ...this.#options.env,
    };
  }

  /** Sends a request for faults to dev mode, past the line. */
  async #ask(wanted: object): Promise<void> {
    const answer = await fetch(`${this.directUrl}/demo/faults`, {
      method: "POST",
      headers: { "content-type": "application/json" },
      body: JSON.stringify(wanted),
    });
    if (!answer.ok) throw new Error(`the server refused ${JSON.stringify(wanted)}: ${await answer.text()}`);
  }

  async #end(signal: NodeJS.Signals): Promise<void> {
    const child = this.#child;
    if (!child || !this.#isRunning()) return;
    const exit = once(child, "exit");
    child.kill(signal);
    await exit;
  }

  #isRunning(): boolean {
    const child = this.#child;
    return child?.pid !== undefined && child.exitCode === null && child.signalCode === null;
  }

  /** Looks again and again until `look` returns true, the server ends, or its time is over. */
  async #until(what: string, look: () => boolean | Promise<boolean>): Promise<void> {
    const { startTimeout = 20_000 } = this.#options;
    const deadline = Date.now() + startTimeout;
    while (!(await look())) {
      if (!this.#isRunning()) throw new Error(`the server ended at its start; its log:\n${this.log()}`);
      if (Date.now() > deadline)
        throw new Error(`the server did not ${what} within ${startTimeout} ms; its log:\n${this.log()}`);
      await new Promise((resolve) => setTimeout(resolve, LOOK_EVERY));
    }
  }
}
