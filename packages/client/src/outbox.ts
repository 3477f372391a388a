// Messages that are written and not yet acknowledged. They survive reloads, leave in order per room, and
// are sent by one tab.

import {
  RequestError,
  failureOf,
  type Draft,
  type Failure,
  type Message,
  type Request,
} from "./contract.ts";
import type { Storage } from "./storage.ts";

const PREFIX = "outbox/";
/** The first and the longest back-off between attempts, in milliseconds. */
const BACK_OFF = [500, 15_000] as const;

/** A message that is not acknowledged yet. */
export interface Pending {
  readonly clientId: string;
  readonly room: string;
  readonly draft: Draft;
  /** When the user wrote it: milliseconds since 1970 by this device's clock. */
  readonly at: number;
  /** Set once the server has refused it for good. */
  readonly error?: Failure;
}

/** The outcome of a send: the message's seq, or the reason why it failed. */
type Settled = { readonly clientId: string; readonly room: string } & (
  { readonly sent: { id: string; seq: number; at: number } } | { readonly error: Failure }
);

/** What tabs tell each other. */
type TabMessage =
  { readonly added: Pending } | { readonly removed: Pending } | { readonly settled: Settled };

export interface OutboxOptions {
  readonly storage: Storage;
  readonly request: Request;
  readonly userId: () => string | undefined;
  /** Names the lock and the channel that the tabs of one user share; undefined without shared persistence. */
  readonly shared: string | undefined;
  /** Called after each change of a room's pending messages. */
  readonly changed: (room: string) => void;
  /** Called with the answer to each attempt: the reason of a refusal, or undefined for a stored message. */
  readonly sendRefused: (room: string, refusal: Failure) => void;
}

export class Outbox {
  readonly #options: OutboxOptions;
  readonly #pending = new Map<string, Pending>();
  readonly #waiting = new Map<
    string,
    { resolve: (message: Message) => void; reject: (error: Error) => void }
  >();
  /** Rooms whose first message is in flight, or waits for its next attempt. */
  readonly #busy = new Set<string>();
  readonly #timers = new Set<ReturnType<typeof setTimeout>>();
  readonly #ready = new Set<string>();
  readonly #channel: BroadcastChannel | undefined;
  readonly #loaded: Promise<void>;
  /** When the last message was written. */
  #latest = 0;
  #sender: boolean;
  #release: (() => void) | undefined;
  #closed = false;

  constructor(options: OutboxOptions) {
    this.#options = options;
    const { shared } = options;
    const tabs = shared !== undefined && typeof navigator !== "undefined" && "locks" in navigator;
    this.#sender = !tabs;
    if (tabs) {
      this.#channel = new BroadcastChannel(shared);
      this.#channel.onmessage = ({ data }) => this.#heard(data as TabMessage);
      // The tab with the lock sends. When it closes, the browser gives the lock to the next one.
      void navigator.locks.request(shared, () => this.#send()).catch(() => undefined);
    }
    this.#loaded = this.#load();
  }

  /** A room's pending messages, in order. */
  of(room: string): Pending[] {
    return [...this.#pending.values()].filter((pending) => pending.room === room);
  }

  /** Adds a message. The promise rejects with a `RequestError` once the message has failed for good. */
  add(room: string, draft: Draft): { clientId: string; sent: Promise<Message> } {
    const at = this.#now();
    // Ordered by time, so that messages keep their order after a reload.
    const clientId = `${at.toString(36)}-${crypto.randomUUID()}`;
    const pending: Pending = { clientId, room, draft, at };
    const sent = new Promise<Message>((resolve, reject) =>
      this.#waiting.set(clientId, { resolve, reject }),
    );
    // The snapshot shows the failure; an app need not handle the promise.
    sent.catch(() => undefined);
    this.#pending.set(clientId, pending);
    this.#options.changed(room);
    void this.#stored(pending).then(() => {
      this.#channel?.postMessage({ added: pending } satisfies TabMessage);
      this.#flush(room);
    });
    return { clientId, sent };
  }

  /** Sends a failed message again, under the same clientId. */
  retry(clientId: string): void {
    const failed = this.#pending.get(clientId);
    if (!failed?.error) return;
    const { error: _, ...pending } = failed;
    this.#pending.set(clientId, pending);
    this.#options.changed(pending.room);
    void this.#stored(pending).then(() => {
      this.#channel?.postMessage({ added: pending } satisfies TabMessage);
      this.#flush(pending.room);
    });
  }

  /** Drops a failed message. */
  discard(clientId: string): void {
    const pending = this.#pending.get(clientId);
    if (!pending) return;
    this.#channel?.postMessage({ removed: pending } satisfies TabMessage);
    this.#remove(pending);
  }

  /** The room is joined on a live connection: its messages can leave. */
  ready(room: string): void {
    this.#ready.add(room);
    void this.#loaded.then(() => this.#flush(room));
  }

  /** The connection is lost. */
  offline(): void {
    this.#ready.clear();
  }

  /** The server has delivered a message: it is pending no more. */
  delivered(message: Message): void {
    if (message.clientId === undefined || message.userId !== this.#options.userId()) return;
    this.#settle({ clientId: message.clientId, room: message.room, sent: message });
  }

  /** The rooms with pending messages. */
  async rooms(): Promise<string[]> {
    await this.#loaded;
    return [...new Set([...this.#pending.values()].map(({ room }) => room))];
  }

  close(): void {
    this.#closed = true;
    this.#ready.clear();
    for (const timer of this.#timers) clearTimeout(timer);
    this.#channel?.close();
    this.#release?.();
  }

  /** The time in milliseconds, later than that of any message before. */
  #now(): number {
    this.#latest = Math.max(Date.now(), this.#latest + 1);
    return this.#latest;
  }

  async #load(): Promise<void> {
    const { storage } = this.#options;
    const keys = (await storage.keys()).filter((key) => key.startsWith(PREFIX)).sort();
    const stored = await Promise.all(keys.map((key) => storage.get(key) as Promise<Pending | undefined>));
    // Messages written while this ran come last.
    const written = [...this.#pending.values()];
    this.#pending.clear();
    for (const pending of [...stored, ...written]) {
      if (!pending) continue;
      this.#pending.set(pending.clientId, pending);
      this.#latest = Math.max(this.#latest, pending.at);
    }
    for (const room of new Set([...this.#pending.values()].map(({ room }) => room)))
      this.#options.changed(room);
  }

  /** Sends until the client closes. */
  async #send(): Promise<void> {
    if (this.#closed) return;
    const closed = new Promise<void>((resolve) => (this.#release = resolve));
    // The tab that sent before may have left messages behind.
    await this.#load();
    this.#sender = true;
    for (const room of this.#ready) this.#flush(room);
    await closed;
  }

  #heard(message: TabMessage): void {
    if ("added" in message) {
      this.#pending.set(message.added.clientId, message.added);
      this.#options.changed(message.added.room);
      this.#flush(message.added.room);
    } else if ("removed" in message) {
      this.#pending.delete(message.removed.clientId);
      this.#options.changed(message.removed.room);
    } else this.#settle(message.settled, false);
  }

  /** Sends a room's first message, one at a time, so that the order is kept. */
  #flush(room: string): void {
    if (!this.#sender || this.#busy.has(room) || !this.#ready.has(room)) return;
    const next = this.#first(room);
    if (!next) return;
    this.#busy.add(room);
    void this.#attempt(next, 0);
  }

  #first(room: string): Pending | undefined {
    for (const pending of this.#pending.values())
      if (pending.room === room && !pending.error) return pending;
    return undefined;
  }

  async #attempt({ clientId, room, draft }: Pending, attempts: number): Promise<void> {
    try {
      const sent = await this.#options.request("chat:send_message", { ...draft, room, clientId });
      this.#busy.delete(room);
      this.#settle({ clientId, room, sent });
    } catch (thrown) {
      const error = failureOf(thrown);
      this.#busy.delete(room);
      if (error.code === "offline") return; // `ready` starts the room again.
      this.#options.sendRefused(room, error);
      if (!error.retryable) {
        this.#settle({ clientId, room, error });
        return;
      }
      const [first, longest] = BACK_OFF;
      const backOff = Math.min(first * 2 ** attempts, longest) * (0.5 + Math.random() / 2);
      this.#busy.add(room);
      const timer = setTimeout(
        () => {
          this.#timers.delete(timer);
          this.#busy.delete(room);
          const pending = this.#pending.get(clientId);
          if (!pending || !this.#ready.has(room)) return this.#flush(room);
          this.#busy.add(room);
          void this.#attempt(pending, attempts + 1);
        },
        Math.max(error.retryAfterMs ?? 0, backOff),
      );
      this.#timers.add(timer);
    }
    this.#flush(room);
  }

  #settle(settled: Settled, tell = true): void {
    const pending = this.#pending.get(settled.clientId);
    if (!pending) return;
    if (tell) this.#channel?.postMessage({ settled } satisfies TabMessage);
    const waiting = this.#waiting.get(settled.clientId);
    this.#waiting.delete(settled.clientId);
    if ("sent" in settled) {
      this.#remove(pending);
      const { id, seq, at } = settled.sent;
      const userId = this.#options.userId() ?? "";
      waiting?.resolve({
        ...pending.draft,
        id,
        room: pending.room,
        seq,
        at,
        userId,
        clientId: pending.clientId,
      });
    } else {
      const failed = { ...pending, error: settled.error };
      this.#pending.set(pending.clientId, failed);
      this.#options.changed(pending.room);
      if (tell) void this.#stored(failed);
      waiting?.reject(new RequestError(settled.error));
    }
    this.#flush(pending.room);
  }

  #remove({ clientId, room }: Pending): void {
    this.#pending.delete(clientId);
    void this.#options.storage.delete(PREFIX + clientId);
    this.#options.changed(room);
  }

  /** Stores a message. The client sends it even if that fails. */
  async #stored(pending: Pending): Promise<void> {
    await this.#options.storage.set(PREFIX + pending.clientId, pending).catch(() => undefined);
  }
}
