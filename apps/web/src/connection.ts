// The line to the server: one socket, its state, requests with an answer. Knows no rooms.

import { io, type Socket } from "socket.io-client";
import { base } from "./base.ts";
import { RequestError, type Announcements, type Answer, type Failure, type Request } from "./contract.ts";
import type { Clock } from "./clock.ts";

/** How long an answer may take before the request counts as lost. */
const ANSWER_MS = 10_000;
const RETRY_MS = 1_000;
const LONGEST_RETRY_MS = 15_000;

/**
 * `connecting`: the first time. `online`. `offline`: lost, coming back by itself. `ended`: the server
 * closed it for good.
 */
export type LineState = "connecting" | "online" | "offline" | "ended";

export interface Listener {
  changed(state: LineState, reason?: string): void;
  /** The server refused the token; a new one is needed before `resume`. */
  refused(failure: Failure): void;
}

type Word = <E extends keyof Announcements>(event: E, hear: (payload: Announcements[E]) => void) => void;

export class Connection {
  state: LineState = "connecting";
  private readonly socket: Socket;
  private retries = 0;
  private stopTimer: (() => void) | undefined;

  constructor(
    token: () => string,
    private readonly clock: Clock,
    private readonly listener: Listener,
  ) {
    this.socket = io({
      path: `${base}/socket.io/`,
      auth: (give) => give({ token: token() }),
      autoConnect: false,
      reconnectionDelay: 500,
      reconnectionDelayMax: 5_000,
      randomizationFactor: 0.5,
    });
    this.socket.on("connect", () => {
      this.retries = 0;
      this.become("online");
    });
    this.socket.on("disconnect", (reason) => {
      // The client comes back by itself from all but these two.
      if (reason === "io server disconnect") this.become("ended");
      else if (reason !== "io client disconnect") this.become("offline");
    });
    this.socket.on("connect_error", (error) => this.connectError(error));
  }

  /** Sends an event and waits for its answer; rejects with a `RequestError`. Never waits for a connection. */
  readonly request: Request = async (event, payload) => {
    if (!this.socket.connected)
      throw new RequestError({ code: "offline", message: "Not connected.", retryable: true });
    let answer: Answer<never>;
    try {
      answer = (await this.socket.timeout(ANSWER_MS).emitWithAck(event, payload)) as Answer<never>;
    } catch {
      const code = this.socket.connected ? "timeout" : "offline";
      throw new RequestError({ code, message: "The server did not answer.", retryable: true });
    }
    if (!answer?.ok)
      throw new RequestError(
        answer?.error ?? {
          code: "internal",
          message: "The server's answer made no sense.",
          retryable: false,
        },
      );
    return answer.data;
  };

  readonly on: Word = (event, hear) => {
    this.socket.on(event as string, hear as (payload: unknown) => void);
  };

  /** Connects, or tries again at once. */
  resume(): void {
    this.stopTimer?.();
    if (this.socket.connected) return;
    if (this.state === "ended") this.become("offline");
    // A client that waits for its next try ignores a mere connect; one that was refused takes it on the
    // open transport.
    if (this.socket.active) this.socket.disconnect();
    this.socket.connect();
  }

  close(): void {
    this.stopTimer?.();
    this.socket.removeAllListeners();
    this.socket.disconnect();
  }

  private connectError(error: Error & { data?: Partial<Failure> }): void {
    // Still active: the transport failed and the client tries again by itself.
    if (this.socket.active) {
      this.become(this.state === "connecting" ? "connecting" : "offline", "unreachable");
      return;
    }
    const failure: Failure = {
      code: error.data?.code ?? "unavailable",
      message: error.data?.message ?? error.message,
      retryable: error.data?.retryable ?? true,
    };
    if (failure.code === "unauthorized" || failure.code === "token_expired") {
      this.listener.refused(failure);
      return;
    }
    if (!failure.retryable) {
      this.become("ended", failure.message);
      return;
    }
    this.retries += 1;
    const wait = Math.max(
      error.data?.retryAfterMs ?? 0,
      Math.min(RETRY_MS * 2 ** this.retries, LONGEST_RETRY_MS) * (0.5 + Math.random() / 2),
    );
    this.become(this.state === "connecting" ? "connecting" : "offline", failure.message);
    this.stopTimer?.();
    this.stopTimer = this.clock.after(wait, () => this.socket.connect());
  }

  private become(state: LineState, reason?: string): void {
    this.state = state;
    this.listener.changed(state, reason);
  }
}
