// The connection: one socket, its state, fresh tokens, retries, and requests with an ack. It knows no rooms.

import { io, type Socket } from "socket.io-client";

import { backOff } from "./back_off.ts";
import type { Checked } from "./check.ts";
import { RequestError, type Failure, type Request, type ServerEvents } from "./contract.ts";
import { WritableStore, type Store } from "./store.ts";
import { Timer } from "./timer.ts";

/** Milliseconds to wait for an ack. */
const ACK_TIMEOUT = 10_000;
/** Milliseconds to wait for the answer to a probe, before the connection counts as dead. */
const PROBE_TIMEOUT = 3_000;
/** The first and the longest back-off after a transient refusal, in milliseconds. */
const BACK_OFF = [1_000, 30_000] as const;
/** A token is refreshed this many milliseconds before it expires. */
const REFRESH_BEFORE = 60_000;
/** Milliseconds between two looks at the clock, and the least time between them that shows a sleep. */
const [TICK, LONGEST_TICK] = [1_000, 5_000];

/** The state of the connection. `failed` is final until the next `connect()`; `reason` says why. */
export interface ConnectionState {
  readonly state: "idle" | "connecting" | "online" | "offline" | "failed";
  readonly reason?: string;
}

/** Options of a connection. */
export interface ConnectionOptions {
  /** Fetches a token from your backend. Called for each connection attempt and before the token expires. */
  readonly token: () => Promise<string>;
  /** Identifies the device for notifications (1 to 64 characters). */
  readonly device?: string;
  /** Path of the Socket.IO endpoint, if the server runs below a prefix. Default: `/socket.io/`. */
  readonly path?: string;
  /**
   * Checks payloads, acks and events against the server's contract, in development builds and tests. Pass
   * `checkContract` of `@roomful/client/check`. A violation is thrown.
   */
  readonly check?: ContractCheck;
  /** Transports of socket.io-client. */
  readonly transports?: ("polling" | "websocket")[];
}

/** Returns the first rule of the contract that a value violates. */
export type ContractCheck = (kind: Checked, event: string, value: unknown) => string | undefined;

/** Why the server ended a session. */
type Reason = Failure | ServerEvents["session:ended"];

type Handler<E extends keyof ServerEvents> = (payload: ServerEvents[E]) => void;

export class Connection {
  readonly #socket: Socket;
  readonly #options: ConnectionOptions;
  readonly #state = new WritableStore<ConnectionState>({ state: "idle" });
  /** True from the `session` event on, which names the user: nothing leaves before. */
  #ready = false;
  #refused = 0;
  readonly #retry = new Timer(() => this.#socket.connect());
  readonly #refresh = new Timer(() => void this.#refreshToken());
  /** The last `error` or `session:ended`: it explains a disconnect by the server. */
  #lastError: Reason | undefined;
  #roles: readonly string[] = [];
  /** Milliseconds by which the server's clock is ahead of this device's. */
  #clockOffset = 0;
  #wakes: (() => void) | undefined;

  constructor(url: string, options: ConnectionOptions) {
    this.#options = options;
    this.#socket = io(url, {
      auth: (give) => void this.#authenticate(give),
      autoConnect: false,
      forceNew: true,
      reconnectionDelay: 500,
      reconnectionDelayMax: 5_000,
      ...(options.path !== undefined && { path: options.path }),
      ...(options.transports && { transports: options.transports }),
    });
    this.#socket.on("disconnect", (reason) => this.#disconnected(reason));
    this.#socket.on("connect_error", (error) => this.#connectError(error));
    this.on("error", (failure) => (this.#lastError = failure));
    this.on("session:ended", (ended) => (this.#lastError = ended));
    this.on("session", ({ serverTime }) => {
      this.#clockOffset = serverTime - Date.now();
      this.#ready = true;
      this.#refused = 0;
      this.#state.set({ state: "online" });
    });
    this.on("token:expiring", () => void this.#refreshToken());
    if (options.check) this.#socket.onAny((event: string, payload) => this.#check("event", event, payload));
  }

  get state(): Store<ConnectionState> {
    return this.#state;
  }

  get online(): boolean {
    return this.#ready;
  }

  /** The roles that the token gives the user in all rooms. */
  get roles(): readonly string[] {
    return this.#roles;
  }

  /** The server's clock, in milliseconds since 1970. */
  readonly serverNow = (): number => Date.now() + this.#clockOffset;

  /** Connects, or retries at once. */
  connect(): void {
    this.#retry.cancel();
    if (this.#socket.connected) return;
    this.#state.set({ state: this.#state.getSnapshot().state === "offline" ? "offline" : "connecting" });
    this.#wakes ??= onWake(() => void this.#probe());
    // A socket that waits for its next attempt ignores connect().
    if (this.#socket.active) this.#socket.disconnect();
    this.#socket.connect();
  }

  /** Disconnects for good. */
  close(): void {
    this.#retry.cancel();
    this.#refresh.cancel();
    this.#wakes?.();
    this.#wakes = undefined;
    this.#socket.disconnect();
    this.#state.set({ state: "idle" });
  }

  /** Calls `handler` for each event of the server. Returns a function that ends this. */
  on<E extends keyof ServerEvents>(event: E, handler: Handler<E>): () => void {
    const listener = handler as (payload: unknown) => void;
    this.#socket.on(event as string, listener);
    return () => this.#socket.off(event as string, listener);
  }

  readonly request: Request = async (event, payload) => {
    if (!this.#ready) throw offline();
    this.#check("payload", event, payload);
    let ack: { ok?: boolean; data?: unknown; error?: Failure };
    try {
      ack = await this.#socket.timeout(ACK_TIMEOUT).emitWithAck(event, payload);
    } catch {
      if (!this.#ready) throw offline();
      throw new RequestError({
        code: "timeout",
        message: "The server did not answer in time.",
        retryable: true,
      });
    }
    this.#check("ack", event, ack);
    if (ack?.ok) return ack.data as never;
    const unknown: Failure = {
      code: "internal",
      message: "The server sent an ack without data.",
      retryable: false,
    };
    const error = ack?.error ?? unknown;
    // The server is about to end the connection, and the next one has a fresh token.
    if (error.code === "token_expired") throw offline();
    throw new RequestError(error);
  };

  #check(kind: Checked, event: string, value: unknown): void {
    const broken = this.#options.check?.(kind, event, value);
    if (broken !== undefined) throw new Error(`${event} (${kind}) breaks the contract: ${broken}`);
  }

  async #authenticate(give: (auth: object) => void): Promise<void> {
    const { token: fetchToken, device } = this.#options;
    try {
      const token = await fetchToken();
      this.#present(token);
      give({ token, ...(device !== undefined && { device }) });
    } catch (error) {
      // The token endpoint failed, perhaps because the network is down. Retry like a transient refusal.
      this.#socket.disconnect();
      this.#retryLater(`no token: ${error instanceof Error ? error.message : String(error)}`);
    }
  }

  #connectError(error: Error & { data?: Partial<Failure> }): void {
    if (this.#socket.active) {
      // A network error: the socket retries by itself.
      this.#state.set({ state: "offline", reason: error.message });
      return;
    }
    const {
      code = "unavailable",
      message = error.message,
      retryable = true,
      retryAfterMs,
    } = error.data ?? {};
    // The next attempt fetches a fresh token. A second refusal means that a fresh token does not help.
    const fresh = code === "token_expired" && this.#refused === 0;
    if (fresh || retryable) this.#retryLater(message, fresh ? 0 : retryAfterMs);
    else this.#fail(message);
  }

  #disconnected(reason: string): void {
    this.#ready = false;
    this.#refresh.cancel();
    if (reason === "io client disconnect") return;
    if (reason !== "io server disconnect") {
      this.#state.set({ state: "offline", reason });
      return;
    }
    // The server ended the session on purpose, and the socket does not retry by itself.
    const cause = this.#lastError;
    this.#lastError = undefined;
    if (cause?.code === "token_expired") this.#retryLater(cause.message, 0);
    else this.#fail(cause?.message ?? "The server ended the session.");
  }

  #retryLater(reason: string, wait?: number): void {
    const later = backOff(BACK_OFF, this.#refused);
    this.#refused += 1;
    this.#state.set({ state: "offline", reason });
    this.#retry.in(wait ?? later);
  }

  #fail(reason: string): void {
    this.#refresh.cancel();
    this.#state.set({ state: "failed", reason });
  }

  /** The server gets this token: reads its roles, and replaces it before it expires. */
  #present(token: string): void {
    this.#refresh.cancel();
    const claims = claimsOf(token);
    this.#roles = Array.isArray(claims.roles) ? claims.roles : [];
    const left = lifetime(claims);
    if (left === undefined) return;
    // A token with a short life is refreshed after half of it.
    const wait = Math.max(left - REFRESH_BEFORE, left / 2);
    this.#refresh.in(wait);
  }

  async #refreshToken(): Promise<void> {
    try {
      const token = await this.#options.token();
      await this.request("token:refresh", { token });
      this.#present(token);
    } catch {
      // The present token stays valid until it expires; then the next connection fetches another one.
    }
  }

  /** Finds out whether the connection survived a sleep or a network change, and reconnects if not. */
  async #probe(): Promise<void> {
    if (!this.#socket.connected) {
      if (this.#state.getSnapshot().state === "offline") this.connect();
      return;
    }
    try {
      await this.#socket.timeout(PROBE_TIMEOUT).emitWithAck("session:ping", {});
    } catch {
      // No answer: the line is dead. Any answer, even an error, shows that it is alive.
      // The engine's own `close` would wait until everything is sent.
      if (this.#socket.connected) this.#socket.io.engine.transport.close();
    }
  }
}

const offline = (): RequestError =>
  new RequestError({ code: "offline", message: "Not connected.", retryable: true });

/** The claims that the client uses. */
interface Claims {
  readonly exp?: number;
  readonly iat?: number;
  readonly roles?: readonly string[];
}

/** The token's claims; none if the token cannot be read. */
function claimsOf(token: string): Claims {
  try {
    const payload = token.split(".")[1] ?? "";
    const claims: unknown = JSON.parse(atob(payload.replaceAll("-", "+").replaceAll("_", "/")));
    return (claims ?? {}) as Claims;
  } catch {
    return {};
  }
}

/**
 * Milliseconds from `iat` to `exp`, which do not depend on this device's clock; without `iat`, from now.
 * Undefined without `exp`.
 */
function lifetime({ exp, iat }: Claims): number | undefined {
  if (exp === undefined) return undefined;
  return Math.max(0, exp * 1_000 - (iat === undefined ? Date.now() : iat * 1_000));
}

/** Calls `wake` when the device may have slept or changed its network. Returns a function that ends this. */
function onWake(wake: () => void): () => void {
  let last = Date.now();
  const tick = setInterval(() => {
    const slept = Date.now() - last > LONGEST_TICK;
    last = Date.now();
    // Browsers slow down the timers of hidden tabs.
    if (slept && !isHidden()) wake();
  }, TICK);
  // In Node, an idle client does not keep the process alive.
  tick.unref?.();
  const ends = [() => clearInterval(tick)];
  if (typeof document !== "undefined" && typeof window !== "undefined") {
    const visible = () => void (isHidden() || wake());
    document.addEventListener("visibilitychange", visible);
    window.addEventListener("online", wake);
    ends.push(() => {
      document.removeEventListener("visibilitychange", visible);
      window.removeEventListener("online", wake);
    });
  }
  return () => ends.forEach((end) => end());
}

const isHidden = (): boolean => typeof document !== "undefined" && document.visibilityState === "hidden";
