// The line between clients and the server: a TCP proxy that a test can cut, silence and slow down.

import { once } from "node:events";
import { createConnection, createServer, type AddressInfo, type Server, type Socket } from "node:net";

/** Bytes that may wait in one direction of a connection before the proxy stops reading. */
const MOST_WAITING = 1 << 20;

/** Whether connections pass, stay open without passing anything, or are refused. */
type State = "whole" | "silent" | "cut";

/** A TCP proxy to a port of this machine. */
export class Line {
  readonly #server: Server;
  readonly #to: () => number;
  readonly #connections = new Set<Connection>();
  #state: State = "whole";
  #delay = 0;

  private constructor(to: () => number) {
    this.#to = to;
    this.#server = createServer((near) => this.#join(near));
  }

  /** Starts a proxy to the port that `to` returns at the time of each connection. */
  static async start(to: () => number): Promise<Line> {
    const line = new Line(to);
    line.#server.listen(0, "127.0.0.1");
    await once(line.#server, "listening");
    return line;
  }

  get port(): number {
    return (this.#server.address() as AddressInfo).port;
  }

  /** Closes all connections. New ones pass. */
  drop(): void {
    for (const connection of this.#connections) connection.close();
  }

  /** Closes all connections, and refuses new ones. */
  cut(): void {
    this.#state = "cut";
    this.drop();
  }

  /** Keeps all connections open, new ones too, but passes nothing. */
  silence(): void {
    this.#state = "silent";
    for (const connection of this.#connections) connection.silence();
  }

  /** Delays everything by `ms` milliseconds in each direction. */
  delay(ms: number): void {
    this.#delay = ms;
  }

  /** Ends all faults. Connections that were silent close, since bytes are missing in them. */
  heal(): void {
    this.#state = "whole";
    this.#delay = 0;
    for (const connection of this.#connections) if (connection.silent) connection.close();
  }

  async stop(): Promise<void> {
    this.cut();
    this.#server.close();
    await once(this.#server, "close");
  }

  #join(near: Socket): void {
    if (this.#state === "cut") {
      near.resetAndDestroy();
      return;
    }
    const far = createConnection(this.#to(), "127.0.0.1");
    const connection = new Connection(near, far, () => this.#delay);
    if (this.#state === "silent") connection.silence();
    this.#connections.add(connection);
    connection.closed.then(() => this.#connections.delete(connection));
  }
}

/** One client's connection through the proxy. */
class Connection {
  readonly closed: Promise<void>;
  readonly #ends: readonly [Socket, Socket];
  #silent = false;

  constructor(near: Socket, far: Socket, delay: () => number) {
    this.#ends = [near, far];
    this.#pass(near, far, delay);
    this.#pass(far, near, delay);
    const ended = (end: Socket) =>
      new Promise<void>((resolve) => {
        end.on("error", () => end.destroy());
        end.on("close", () => resolve());
      });
    this.closed = Promise.all([ended(near), ended(far)]).then(() => undefined);
  }

  get silent(): boolean {
    return this.#silent;
  }

  silence(): void {
    this.#silent = true;
  }

  close(): void {
    for (const end of this.#ends) end.destroy();
  }

  /** Passes everything from one end to the other, in order, each part after the delay at its arrival. */
  #pass(from: Socket, to: Socket, delay: () => number): void {
    let waiting = 0;
    let last = Promise.resolve();
    const pass = (bytes: number, then: () => void) => {
      const ms = delay();
      const due = ms > 0 ? new Promise((resolve) => setTimeout(resolve, ms)) : undefined;
      waiting += bytes;
      if (waiting > MOST_WAITING) from.pause();
      last = last
        .then(() => due)
        .then(() => {
          then();
          waiting -= bytes;
          if (waiting <= MOST_WAITING && to.writableLength <= MOST_WAITING) from.resume();
        });
    };
    from.setNoDelay(true);
    from.on("data", (chunk: Buffer) => {
      if (!this.#silent) pass(chunk.length, () => to.destroyed || to.write(chunk));
    });
    to.on("drain", () => from.resume());
    // A half-open line keeps the other end open.
    from.on("close", () => this.#silent || pass(0, () => to.end()));
  }
}
