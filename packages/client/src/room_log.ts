// The local part of a room's log: one window without holes, and the live entries that arrived ahead of it.
// Pure.

import type { Change, Epoch, LogAnswer, Message, Page } from "./contract.ts";
import { LawChecker } from "./laws.ts";
import { MessageWindow, type SentMessage } from "./message_window.ts";

/**
 * The most live entries that wait for the entries before them. Beyond it, the log reads them again from the
 * server.
 */
const MOST_AHEAD = 1_000;

/**
 * The most messages in the window, beside those that `older` adds. Older ones are dropped and can be loaded
 * again.
 */
const MOST_MESSAGES = 5_000;

/** Surplus messages are dropped together, so that a live message does not move the whole window. */
const SURPLUS = 500;

/** An entry of the log as it arrives live. */
export type Entry =
  | { readonly number: number; readonly message: Message }
  | { readonly number: number; readonly change: Change };

/** The part of a log that is kept across reloads. */
export interface SavedLog {
  readonly epoch: Epoch;
  readonly from: number;
  readonly upTo: number;
  readonly hasOlder: boolean;
  readonly messages: readonly Message[];
}

export class RoomLog {
  #epoch: Epoch | undefined;
  /** The window holds every entry from here to `#upTo`. */
  #from = 1;
  #upTo = 0;
  #head = 0;
  #hasOlder = false;
  readonly #window = new MessageWindow();
  #most = MOST_MESSAGES;
  /** For each message, the log number up to which its present state includes the changes. */
  readonly #states = new Map<number, number>();
  readonly #ahead = new Map<number, Entry>();

  readonly #userId: () => string | undefined;
  readonly laws = new LawChecker();

  constructor(userId: () => string | undefined = () => undefined) {
    this.#userId = userId;
  }

  /** Undefined until the first page. */
  get epoch(): Epoch | undefined {
    return this.#epoch;
  }

  /** The number up to which the window has every entry: the `since` of the next sync. */
  get upTo(): number {
    return this.#upTo;
  }

  /** The newest number that the server has named. */
  get head(): number {
    return this.#head;
  }

  /** True if the server has older messages than the window. */
  get hasOlder(): boolean {
    return this.#hasOlder;
  }

  /** The first number of the window. */
  get from(): number {
    return this.#from;
  }

  /** The messages of the window, by seq. The array never changes, and stays the same between changes. */
  get messages(): readonly SentMessage[] {
    return this.#window.all;
  }

  /** How often a change has copied the array of messages. */
  get copies(): number {
    return this.#window.copies;
  }

  /** The number after which entries are missing, or undefined if there is no gap. */
  get gap(): number | undefined {
    return this.#epoch !== undefined && this.#head > this.#upTo ? this.#upTo : undefined;
  }

  /** Adds a live entry. Before the first page, and after a gap, it waits for the entries before it. */
  receive(entry: Entry): void {
    this.laws.arrived(entry.number, "message" in entry);
    this.#head = Math.max(this.#head, entry.number);
    if (this.#epoch !== undefined && entry.number <= this.#upTo) return;
    if (this.#epoch !== undefined && entry.number === this.#upTo + 1) {
      this.#append(entry);
      this.#drain();
    } else if (this.#ahead.size < MOST_AHEAD) this.#ahead.set(entry.number, entry);
  }

  /** Adds the answer to a join or sync. True if it replaces the window. */
  answered(answer: LogAnswer): boolean {
    const continues = !answer.reset && answer.epoch === this.#epoch;
    if (!continues) this.#replace(answer);
    else this.#extend(answer, answer.more ? undefined : answer.head, answer.head);
    this.#head = Math.max(this.#head, answer.head);
    this.#drain();
    return !continues;
  }

  /** Adds a page of entries after `upTo`, requested when `head` was the newest known number. */
  newer(page: Page, head: number): void {
    if (page.epoch !== this.#epoch) return;
    // A last page reaches the head, even if retention has removed the entries before it.
    this.#extend(page, page.more ? undefined : head, head);
    this.#drain();
  }

  /** Adds a page of messages before `from`. */
  older(page: Page): void {
    if (page.epoch !== this.#epoch) return;
    const older = page.messages.filter(({ seq }) => seq < this.#from);
    for (const { seq } of older) this.#states.set(seq, this.#head);
    this.#window.prepend(older);
    this.#most = Math.max(this.#most, this.#window.length);
    this.#from = older[0]?.seq ?? this.#from;
    this.#hasOlder = page.more;
  }

  /** Forgets everything, for a room that the user lost or a log that has to start over. */
  clear(): void {
    this.#epoch = undefined;
    this.#from = 1;
    this.#upTo = 0;
    this.#hasOlder = false;
    this.#show([], 0);
    this.disconnected();
    this.laws.restart(0);
  }

  /**
   * The connection is lost: live entries that wait may belong to an old epoch, and the next sync returns
   * them anyway.
   */
  disconnected(): void {
    this.#ahead.clear();
    this.laws.disconnected(this.#upTo);
    this.#head = this.#upTo;
  }

  /** The newest `most` messages, for storage. Undefined before the first page. */
  save(most: number): SavedLog | undefined {
    if (this.#epoch === undefined) return undefined;
    const messages = this.messages.slice(-most);
    const cut = messages.length < this.#window.length;
    return {
      epoch: this.#epoch,
      from: cut ? (messages[0]?.seq ?? this.#upTo + 1) : this.#from,
      upTo: this.#upTo,
      hasOlder: this.#hasOlder || cut,
      messages,
    };
  }

  /** Restores a saved log, unless a page has arrived already. */
  restore(saved: SavedLog): void {
    if (this.#epoch !== undefined) return;
    this.#epoch = saved.epoch;
    this.#from = saved.from;
    this.#upTo = saved.upTo;
    this.#head = Math.max(this.#head, saved.upTo);
    this.#hasOlder = saved.hasOlder;
    this.#show(saved.messages, saved.upTo);
    this.laws.restart(saved.upTo);
  }

  /** Replaces the messages of the window. Their state includes the changes up to `state`. */
  #show(messages: readonly Message[], state: number): void {
    this.#window.replace(messages);
    this.#most = MOST_MESSAGES;
    this.#states.clear();
    for (const { seq } of messages) this.#states.set(seq, state);
  }

  /** Starts over with a page. Live entries of this connection may have arrived before it, and stay. */
  #replace(answer: LogAnswer): void {
    this.#epoch = answer.epoch;
    this.#show(answer.messages, answer.head);
    // A first page has the newest messages up to the head. A page after a reset may end before it.
    this.#upTo = answer.reset && answer.more ? lastNumber(answer) : answer.head;
    this.#from = answer.messages[0]?.seq ?? this.#upTo + 1;
    this.#hasOlder = this.#from > 1;
    this.#head = Math.max(answer.head, ...this.#ahead.keys());
    this.laws.restart(this.#upTo);
  }

  /** Applies the entries of a page in log order, up to `end` or the page's last entry. */
  #extend(page: Page, end: number | undefined, state: number): void {
    const entries: Entry[] = [
      ...page.messages.map((message) => ({ number: message.seq, message })),
      ...page.changes.map((change) => ({ number: change.logSeq, change: this.#withMine(change) })),
    ];
    entries.sort((a, b) => a.number - b.number);
    for (const entry of entries) {
      if (entry.number <= this.#upTo) continue;
      this.laws.arrived(entry.number, "message" in entry);
      this.#append(entry, state);
    }
    if (end !== undefined && end > this.#upTo) {
      this.laws.removed(end - this.#upTo);
      this.#upTo = end;
    }
  }

  /**
   * Applies the next entry. Pages carry messages in their present state, which includes changes up to
   * `state`.
   */
  #append(entry: Entry, state = entry.number): void {
    this.#upTo = entry.number;
    if ("message" in entry) {
      this.#window.append(entry.message);
      this.#states.set(entry.message.seq, state);
      this.#trim();
    } else this.#change(entry.change);
  }

  /** The change of a page, which does not tell whose it is. */
  #withMine(change: Change): Change {
    return { ...change, mine: change.userId === this.#userId() };
  }

  #change(change: Change): void {
    if (change.logSeq <= (this.#states.get(change.seq) ?? Infinity)) return;
    this.#states.set(change.seq, change.logSeq);
    this.#window.change(change);
  }

  /** Applies the waiting entries that follow the window directly. */
  #drain(): void {
    if (this.#epoch === undefined) return;
    for (let next = this.#ahead.get(this.#upTo + 1); next; next = this.#ahead.get(this.#upTo + 1)) {
      this.#ahead.delete(next.number);
      this.#append(next);
    }
    for (const number of this.#ahead.keys()) if (number <= this.#upTo) this.#ahead.delete(number);
  }

  #trim(): void {
    if (this.#window.length <= this.#most + SURPLUS) return;
    for (const seq of this.#window.trim(this.#most)) this.#states.delete(seq);
    this.#from = this.#window.first ?? this.#upTo + 1;
    this.#hasOlder = true;
  }
}

function lastNumber({ messages, changes }: Page): number {
  return Math.max(0, messages.at(-1)?.seq ?? 0, changes.at(-1)?.logSeq ?? 0);
}
