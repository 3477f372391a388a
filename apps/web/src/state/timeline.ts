// A room's messages as far as this page holds them: one unbroken window of the log, sorted by seq, bounded
// in size. Fetching the parts outside the window is not done here.

import type { Change, Epoch, HistoryAnswer, Message } from "../contract.ts";
import { changed } from "./changes.ts";

/**
 * Most messages held for a room; what lies beyond is dropped at the far end and fetched again when wanted.
 */
export const WINDOW = 300;
/** Changes remembered because a page may have been read before they were made and arrive after them. */
const MOST_RECENT = 50;

/** A part of a page as the log has it: messages and what became of them are numbered in one sequence. */
type Entries = Pick<HistoryAnswer, "messages" | "changes">;

export class Timeline {
  messages: Message[] = [];
  epoch: Epoch | undefined;
  /** The highest number known to exist, a message's or a change's. */
  head = 0;
  /** All up to here has been delivered to us, shown or not: where a resume continues. */
  cursor = 0;
  /** There are older messages than the first one held. */
  hasOlder = false;
  /** The window does not reach the end of the log, so live messages are counted but not appended. */
  hasNewer = false;
  /** The window reaches from here to there, in numbers of the log: its ends need not be messages. */
  start = 0;
  end = 0;
  private recent: Change[] = [];
  /**
   * What was missed and is fetched page by page: messages up to `after` lack the changes from there up to
   * `upto`.
   */
  private gap: { after: number; upto: number } | undefined;

  get first(): Message | undefined {
    return this.messages[0];
  }

  get last(): Message | undefined {
    return this.messages[this.messages.length - 1];
  }

  /**
   * Forgets all and starts over from the newest page. `head`: the highest seq the server spoke of with it.
   */
  replace(page: HistoryAnswer, head = 0): void {
    const same = this.epoch === undefined || this.epoch === page.epoch;
    // Live messages may overtake the page; they belong behind it.
    const [lowest, newest] = bounds(page);
    const beyond = same && !this.hasNewer ? this.messages.filter((m) => m.seq > newest) : [];
    this.messages = merge(page.messages, beyond);
    this.head = Math.max(head, same ? this.head : 0, newest, this.last?.seq ?? 0);
    this.cursor = this.head;
    this.epoch = page.epoch;
    this.hasOlder = page.more;
    this.hasNewer = false;
    this.start = lowest;
    this.end = Math.max(head, newest, this.last?.seq ?? 0);
    this.gap = undefined;
    if (same) this.redo();
    else this.recent = [];
  }

  /** Drops everything, for a log that was reset. */
  clear(epoch: Epoch, head: number): void {
    this.messages = [];
    this.epoch = epoch;
    this.head = head;
    this.cursor = head;
    this.hasOlder = false;
    this.hasNewer = head > 0;
    this.start = this.end = 0;
    this.recent = [];
    this.gap = undefined;
  }

  /** Takes what a resume from `cursor` brought. `more`: the answer ended before the head. */
  resume(page: Entries, head: number, more: boolean): void {
    const missed = { after: this.cursor, upto: head };
    this.head = Math.max(this.head, head);
    this.cursor = this.head;
    for (const change of page.changes) this.apply(change);
    if (more) this.gap = { after: this.gap?.after ?? missed.after, upto: missed.upto };
    if (this.hasNewer) return;
    this.messages = merge(this.messages, page.messages);
    this.hasNewer = more;
    this.end = more ? Math.max(this.end, bounds(page)[1]) : this.head;
    this.redo();
    if (!more) this.trimOldest();
  }

  /** Takes a live change. Answers the message that was changed as it is now, if it is held. */
  change(change: Change): Message | undefined {
    this.head = Math.max(this.head, change.logSeq);
    this.cursor = Math.max(this.cursor, change.logSeq);
    if (!this.hasNewer) this.end = this.head;
    this.recent = [...this.recent.slice(1 - MOST_RECENT), change];
    return this.apply(change);
  }

  /**
   * Takes a live message. `following` says that the reader stays at the end: then the oldest make room,
   * else the window ends here when it is full, so that what is being read does not vanish. True if the
   * message is now held.
   */
  receive(message: Message, following: boolean): boolean {
    this.head = Math.max(this.head, message.seq);
    this.cursor = Math.max(this.cursor, message.seq);
    if (this.hasNewer) return false;
    if (!following && this.messages.length >= WINDOW) {
      this.hasNewer = true;
      return false;
    }
    this.messages = merge(this.messages, [message]);
    this.end = this.head;
    this.trimOldest();
    return true;
  }

  addOlder(page: HistoryAnswer): void {
    if (page.epoch !== this.epoch) return;
    this.messages = merge(this.messages, page.messages);
    const [lowest, newest] = bounds(page);
    this.hasOlder = page.more && newest > 0;
    if (newest > 0) this.start = lowest;
    if (this.messages.length > WINDOW) {
      this.messages = this.messages.slice(0, WINDOW);
      this.hasNewer = true;
      this.end = this.last?.seq ?? 0;
    }
    this.redo();
  }

  addNewer(page: HistoryAnswer): void {
    if (page.epoch !== this.epoch) return;
    const { gap } = this;
    // Messages in a page are up to date; only those held from before the gap lack the changes in it.
    for (const change of page.changes) {
      if (gap && change.seq <= gap.after && change.logSeq > gap.after && change.logSeq <= gap.upto)
        this.apply(change);
    }
    this.messages = merge(this.messages, page.messages);
    const [, newest] = bounds(page);
    this.end = Math.max(this.end, newest);
    // An empty page ends the search even if the head was trimmed away.
    this.hasNewer = page.more || (this.end < this.head && newest > 0);
    if (!this.hasNewer) {
      this.end = this.head;
      this.gap = undefined;
    }
    this.redo();
    this.trimOldest();
  }

  private apply(change: Change): Message | undefined {
    const at = this.messages.findIndex(({ seq }) => seq === change.seq);
    const held = this.messages[at];
    if (!held) return undefined;
    const next = changed(held, change);
    if (next !== held) this.messages = this.messages.with(at, next);
    return next;
  }

  /** Makes the latest changes hold again after a page, which may have been read before them. */
  private redo(): void {
    for (const change of this.recent) if (this.countable(change)) this.apply(change);
  }

  /** A reaction beyond the bounded list of users can't be recognized when it comes a second time. */
  private countable({ type, seq, emoji }: Change): boolean {
    const known =
      type === "reaction"
        ? this.messages.find((m) => m.seq === seq)?.reactions?.find((r) => r.emoji === emoji)
        : undefined;
    return known === undefined || known.count === known.userIds.length;
  }

  private trimOldest(): void {
    if (this.messages.length <= WINDOW) return;
    this.messages = this.messages.slice(-WINDOW);
    this.start = this.first?.seq ?? 0;
    this.hasOlder = true;
  }
}

/** The lowest and the highest number in a page; zeros if it is empty. */
function bounds({ messages, changes }: Entries): [number, number] {
  const numbers = [messages[0], messages[messages.length - 1]].flatMap((m) => (m ? [m.seq] : []));
  for (const { logSeq } of [changes[0], changes[changes.length - 1]].flatMap((c) => (c ? [c] : [])))
    numbers.push(logSeq);
  return numbers.length === 0 ? [0, 0] : [Math.min(...numbers), Math.max(...numbers)];
}

/** The union of two lists sorted by seq, each seq once; the later list wins. */
function merge(older: Message[], newer: Message[]): Message[] {
  const start = newer[0];
  if (!start) return older;
  const end = older[older.length - 1];
  if (!end || end.seq < start.seq) return [...older, ...newer];
  const bySeq = new Map(older.map((m) => [m.seq, m]));
  for (const message of newer) bySeq.set(message.seq, message);
  return [...bySeq.values()].sort((a, b) => a.seq - b.seq);
}
