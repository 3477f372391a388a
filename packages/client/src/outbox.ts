// Messages that are written and not yet acknowledged. They survive reloads, leave in order per room, and
// are sent by one tab, as the user who wrote them.

import { backOff } from "./back_off.ts";
import {
  RequestError,
  failureOf,
  type Draft,
  type Failure,
  type Message,
  type Request,
} from "./contract.ts";
import type { Storage } from "./storage.ts";
import type { Tabs } from "./tabs.ts";

const PREFIX = "outbox/";
/** The first and the longest back-off between attempts, in milliseconds. */
const BACK_OFF = [500, 15_000] as const;

/** The outcome of messages whose author is no longer the user. */
export const SIGNED_OUT: Failure = {
  code: "unauthorized",
  message: "The author of this message has signed out.",
  retryable: false,
};

/** A message that is not acknowledged yet. */
export interface Pending {
  readonly clientId: string;
  readonly room: string;
  readonly draft: Draft;
  /** When the user wrote it: milliseconds since 1970 by this device's clock. */
  readonly at: number;
  /** The author. Undefined before the first sign-in on this device: the message then belongs to that user. */
  readonly userId?: string;
  /** Set once the server has refused it for good. */
  readonly error?: Failure;
}

/** The outcome of a send: the message's seq, or the reason why it failed. */
type Settled = { readonly clientId: string; readonly room: string } & (
  { readonly sent: { id: string; seq: number; at: number } } | { readonly error: Failure }
);

/** What tabs tell each other about messages. */
export type OutboxMessage =
  { readonly added: Pending } | { readonly removed: Pending } | { readonly settled: Settled };

export interface OutboxOptions {
  readonly storage: Storage;
  readonly request: Request;
  readonly userId: () => string | undefined;
  /** Resolves once the user who was signed in before is known. */
  readonly userRestored: Promise<void>;
  readonly tabs: Tabs<OutboxMessage>;
  /** True while this tab enters the room: before that, the user may not be a member yet. */
  readonly entering: (room: string) => boolean;
  /** Called after each change of a room's pending messages. */
  readonly changed: (room: string) => void;
  /** Called with the reason of each refused attempt. */
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
  /** The next attempts by room. */
  readonly #timers = new Map<string, ReturnType<typeof setTimeout>>();
  readonly #loaded: Promise<void>;
  /** When the last message was written. */
  #latest = 0;
  /** Counts sign-outs. */
  #life = 0;
  /** True while this tab is connected and the one that sends. */
  #sender = false;

  constructor(options: OutboxOptions) {
    this.#options = options;
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
    const sent = new Promise<Message>((resolve, reject) =>
      this.#waiting.set(clientId, { resolve, reject }),
    );
    // The snapshot shows the failure; an app need not handle the promise.
    sent.catch(() => undefined);
    const userId = this.#options.userId();
    void this.#put({ clientId, room, draft, at, ...(userId !== undefined && { userId }) });
    return { clientId, sent };
  }

  /** Sends a failed message again, under the same clientId. */
  retry(clientId: string): void {
    const failed = this.#pending.get(clientId);
    if (!failed?.error) return;
    const { error: _, ...pending } = failed;
    void this.#put(pending);
  }

  /** Drops a failed message. */
  discard(clientId: string): void {
    const pending = this.#pending.get(clientId);
    if (!pending) return;
    this.#options.tabs.tell({ removed: pending });
    this.#remove(pending);
  }

  /** This tab has entered the room, or gives up on it: its messages can leave. */
  ready(room: string): void {
    void this.#loaded.then(() => {
      for (const pending of this.of(room)) this.#offer(pending);
    });
  }

  /** The user is known: messages without an author are theirs, and those of others are forgotten. */
  signedIn(): void {
    for (const pending of [...this.#pending.values()]) {
      const own = this.#own(pending);
      if (!own) this.#drop(pending);
      else if (own !== pending) void this.#put(own);
    }
  }

  /** The storage was cleared: stores the messages again. */
  async store(): Promise<void> {
    await Promise.all([...this.#pending.values()].map((pending) => this.#stored(pending)));
  }

  /** The user has signed out. */
  forget(): void {
    this.#life += 1;
    for (const pending of [...this.#pending.values()]) this.#drop(pending);
  }

  /** The session has begun: sends, as soon as no other tab does. */
  online(): void {
    this.#options.tabs.lead((leads) => void this.#send(leads));
  }

  /** The connection is lost. Another tab may send. */
  offline(): void {
    this.#sender = false;
    this.#options.tabs.pause();
  }

  /** The server has delivered a message: it is pending no more. */
  delivered(message: Message): void {
    if (message.clientId === undefined || message.userId !== this.#options.userId()) return;
    this.#settle({ clientId: message.clientId, room: message.room, sent: message });
  }

  /** Another tab of the user has told something. */
  heard(message: OutboxMessage): void {
    if ("settled" in message) this.#settle(message.settled, false);
    else if ("removed" in message) {
      this.#pending.delete(message.removed.clientId);
      this.#options.changed(message.removed.room);
    } else {
      const { added } = message;
      const known = this.#pending.get(added.clientId);
      if (!known || known.error) {
        this.#pending.set(added.clientId, added);
        this.#options.changed(added.room);
      }
      this.#flush(added.room);
    }
  }

  close(): void {
    this.offline();
    for (const [room, timer] of this.#timers) {
      clearTimeout(timer);
      this.#busy.delete(room);
    }
    this.#timers.clear();
  }

  /** The time in milliseconds, later than that of any message before. */
  #now(): number {
    this.#latest = Math.max(Date.now(), this.#latest + 1);
    return this.#latest;
  }

  /** The message with the user as its author, or undefined if somebody else wrote it. */
  #own(pending: Pending): Pending | undefined {
    const me = this.#options.userId();
    if (me === undefined || pending.userId === me) return pending;
    return pending.userId === undefined ? { ...pending, userId: me } : undefined;
  }

  async #load(): Promise<void> {
    const { storage, userRestored } = this.#options;
    const life = this.#life;
    await userRestored;
    const keys = (await storage.keys()).filter((key) => key.startsWith(PREFIX)).sort();
    const stored = await Promise.all(keys.map((key) => storage.get(key) as Promise<Pending | undefined>));
    if (life !== this.#life) return;
    // Messages written while this ran come last.
    const written = [...this.#pending.values()];
    this.#pending.clear();
    for (const pending of [...stored, ...written]) {
      const own = pending && this.#own(pending);
      if (!own) continue;
      this.#pending.set(own.clientId, own);
      this.#latest = Math.max(this.#latest, own.at);
    }
    for (const room of this.#rooms()) this.#options.changed(room);
  }

  /** Sends until the connection is lost. */
  async #send(leads: () => boolean): Promise<void> {
    // The tab that sent before may have left messages behind.
    await (this.#options.tabs.shared ? this.#load() : this.#loaded);
    if (!leads()) return;
    this.#sender = true;
    for (const room of this.#rooms()) this.#flush(room);
  }

  #rooms(): Set<string> {
    return new Set([...this.#pending.values()].map(({ room }) => room));
  }

  /** Adds or replaces a message, and sends it once it is stored. */
  async #put(pending: Pending): Promise<void> {
    this.#pending.set(pending.clientId, pending);
    this.#options.changed(pending.room);
    await this.#stored(pending);
    const present = this.#pending.get(pending.clientId);
    if (present) this.#offer(present);
  }

  /** Lets a message leave: from this tab, or from the one that sends. */
  #offer(pending: Pending): void {
    if (pending.error || this.#options.entering(pending.room)) return;
    this.#options.tabs.tell({ added: pending });
    this.#flush(pending.room);
  }

  /** Sends a room's first message, one at a time, so that the order is kept. */
  #flush(room: string, attempts = 0): void {
    if (!this.#sender || this.#busy.has(room) || this.#options.entering(room)) return;
    const next = this.of(room).find(({ error }) => !error);
    if (!next) return;
    this.#busy.add(room);
    void this.#attempt(next, attempts);
  }

  async #attempt({ clientId, room, draft }: Pending, attempts: number): Promise<void> {
    try {
      const sent = await this.#options.request("chat:send_message", { ...draft, room, clientId });
      this.#settle({ clientId, room, sent });
    } catch (thrown) {
      const error = failureOf(thrown);
      if (error.code === "offline") {
        this.#busy.delete(room);
        return; // `online` starts the room again.
      }
      this.#options.sendRefused(room, error);
      if (error.retryable) return this.#retryLater(room, error, attempts);
      this.#settle({ clientId, room, error });
    }
    this.#busy.delete(room);
    this.#flush(room);
  }

  #retryLater(room: string, { retryAfterMs = 0 }: Failure, attempts: number): void {
    const again = () => {
      this.#timers.delete(room);
      this.#busy.delete(room);
      this.#flush(room, attempts + 1);
    };
    this.#timers.set(room, setTimeout(again, Math.max(retryAfterMs, backOff(BACK_OFF, attempts))));
  }

  #settle(settled: Settled, tell = true): void {
    const pending = this.#pending.get(settled.clientId);
    if (!pending) return;
    if (tell) this.#options.tabs.tell({ settled });
    const waiting = this.#waiting.get(settled.clientId);
    this.#waiting.delete(settled.clientId);
    if ("sent" in settled) {
      this.#remove(pending);
      const { draft, clientId, room } = pending;
      const { id, seq, at } = settled.sent;
      waiting?.resolve({ ...draft, id, room, seq, at, userId: this.#options.userId() ?? "", clientId });
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

  /** Forgets a message of a user who has signed out. */
  #drop({ clientId, room }: Pending): void {
    this.#pending.delete(clientId);
    this.#waiting.get(clientId)?.reject(new RequestError(SIGNED_OUT));
    this.#waiting.delete(clientId);
    this.#options.changed(room);
  }

  /** Stores a message. The client sends it even if that fails. */
  async #stored(pending: Pending): Promise<void> {
    await this.#options.storage.set(PREFIX + pending.clientId, pending).catch(() => undefined);
  }
}
