// A room's messages as far as this page holds them: one unbroken window of the log, sorted by seq, bounded in size.
// Fetching the parts outside the window is not done here.

import type { Epoch, HistoryAnswer, Message } from "../contract.ts";

/** Most messages held for a room; what lies beyond is dropped at the far end and fetched again when wanted. */
export const WINDOW = 300;

export class Timeline {
  messages: Message[] = [];
  epoch: Epoch | undefined;
  /** The highest seq known to exist. */
  head = 0;
  /** All up to here has been delivered to us, shown or not: where a resume continues. */
  cursor = 0;
  /** There are older messages than the first one held. */
  hasOlder = false;
  /** The window does not reach the end of the log, so live messages are counted but not appended. */
  hasNewer = false;

  get first(): Message | undefined {
    return this.messages[0];
  }

  get last(): Message | undefined {
    return this.messages[this.messages.length - 1];
  }

  /** Forgets all and starts over from the newest page. `head`: the highest seq the server spoke of with it. */
  replace(page: HistoryAnswer, head = 0): void {
    const same = this.epoch === undefined || this.epoch === page.epoch;
    // Live messages may overtake the page; they belong behind it.
    const newest = page.messages[page.messages.length - 1]?.seq ?? 0;
    const beyond = same && !this.hasNewer ? this.messages.filter((m) => m.seq > newest) : [];
    this.messages = merge(page.messages, beyond);
    this.head = Math.max(head, same ? this.head : 0, this.last?.seq ?? 0);
    this.cursor = this.head;
    this.epoch = page.epoch;
    this.hasOlder = page.more;
    this.hasNewer = false;
  }

  /** Drops everything, for a log that was reset. */
  clear(epoch: Epoch, head: number): void {
    this.messages = [];
    this.epoch = epoch;
    this.head = head;
    this.cursor = head;
    this.hasOlder = false;
    this.hasNewer = head > 0;
  }

  /** Takes what a resume from `cursor` brought. `more`: the answer ended before the head. */
  resume(messages: Message[], head: number, more: boolean): void {
    this.head = Math.max(this.head, head);
    this.cursor = this.head;
    if (this.hasNewer) return;
    this.messages = merge(this.messages, messages);
    this.hasNewer = more;
    if (!more) this.trimOldest();
  }

  /**
   * Takes a live message. `following` says that the reader stays at the end: then the oldest make room, else the window ends
   * here when it is full, so that what is being read does not vanish. True if the message is now held.
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
    this.trimOldest();
    return true;
  }

  addOlder(page: HistoryAnswer): void {
    if (page.epoch !== this.epoch) return;
    this.messages = merge(this.messages, page.messages);
    this.hasOlder = page.more && page.messages.length > 0;
    if (this.messages.length > WINDOW) {
      this.messages = this.messages.slice(0, WINDOW);
      this.hasNewer = true;
    }
  }

  addNewer(page: HistoryAnswer): void {
    if (page.epoch !== this.epoch) return;
    this.messages = merge(this.messages, page.messages);
    // An empty page ends the search even if the head is no message.
    const reached = (this.last?.seq ?? 0) >= this.head || page.messages.length === 0;
    this.hasNewer = page.more || !reached;
    this.trimOldest();
  }

  private trimOldest(): void {
    if (this.messages.length <= WINDOW) return;
    this.messages = this.messages.slice(-WINDOW);
    this.hasOlder = true;
  }
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
