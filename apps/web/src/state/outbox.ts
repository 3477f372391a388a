// Messages written and not yet seen in their room. Kept across reloads, so that a send in flight is
// finished with the same clientId, which the server takes once. When to send is decided here, sending is
// not done here.

import type { Failure } from "../contract.ts";
import type { Shelf } from "../storage.ts";

/** Unsent messages held at most; beyond it the composer says so. */
export const MOST_PENDING = 100;
const MOST_ATTEMPTS = 8;
const FIRST_DELAY_MS = 500;
const LONGEST_DELAY_MS = 15_000;

/** `sent`: acknowledged with a seq; it stays until the message itself arrives in the room. */
export type PendingState = "sending" | "sent" | "failed";

export interface Pending {
  clientId: string;
  room: string;
  text: string;
  /** Whom it mentions; kept, since a retry has to say the same. */
  mentions?: string[];
  at: number;
  state: PendingState;
  attempts: number;
  /** Not to be tried again before this time. */
  notBefore: number;
  seq?: number;
  reason?: string;
}

export class Outbox {
  private entries: Pending[];

  constructor(
    private readonly shelf: Shelf,
    private readonly key: string,
  ) {
    const kept = shelf.read(key);
    this.entries = Array.isArray(kept) ? kept.filter(isPending).slice(0, MOST_PENDING) : [];
    // Counting starts anew: the page that gave up is gone, and the times were another life's.
    for (const entry of this.entries)
      if (entry.state === "sending") Object.assign(entry, { attempts: 0, notBefore: 0 });
  }

  get full(): boolean {
    return this.entries.length >= MOST_PENDING;
  }

  get rooms(): string[] {
    return [...new Set(this.entries.map((entry) => entry.room))];
  }

  of(room: string): Pending[] {
    return this.entries.filter((entry) => entry.room === room);
  }

  add(clientId: string, room: string, text: string, at: number, mentions: string[] = []): void {
    const entry: Pending = { clientId, room, text, at, state: "sending", attempts: 0, notBefore: 0 };
    if (mentions.length > 0) entry.mentions = mentions;
    this.entries.push(entry);
    this.keep();
  }

  /**
   * The one whose turn it is: a room's messages go out in order, so a delayed one holds back those after
   * it.
   */
  next(room: string): Pending | undefined {
    return this.entries.find((entry) => entry.room === room && entry.state === "sending");
  }

  acknowledged(clientId: string, seq: number): void {
    this.change(clientId, (entry) => Object.assign(entry, { state: "sent", seq }));
  }

  /**
   * A try did not succeed: another one later if it may help and has not been tried too often, else it has
   * failed.
   */
  refused(clientId: string, failure: Failure, now: number, jitter: number): void {
    this.change(clientId, (entry) => {
      entry.attempts += 1;
      if (!failure.retryable || entry.attempts >= MOST_ATTEMPTS) {
        Object.assign(entry, { state: "failed", reason: failure.message });
        return;
      }
      const backOff =
        Math.min(FIRST_DELAY_MS * 2 ** (entry.attempts - 1), LONGEST_DELAY_MS) * (0.75 + jitter / 2);
      entry.notBefore = now + Math.max(failure.retryAfterMs ?? 0, backOff);
    });
  }

  retry(clientId: string): void {
    this.change(clientId, (entry) => {
      delete entry.reason;
      Object.assign(entry, { state: "sending", attempts: 0, notBefore: 0 });
    });
  }

  /** The message is in the room (or was given up): nothing is pending any more. True if it was. */
  settle(match: { clientId?: string | undefined; room: string; seq?: number }): boolean {
    const left = this.entries.filter(
      (entry) =>
        !(entry.clientId === match.clientId) &&
        !(
          entry.room === match.room &&
          entry.state === "sent" &&
          entry.seq !== undefined &&
          entry.seq === match.seq
        ),
    );
    if (left.length === this.entries.length) return false;
    this.entries = left;
    this.keep();
    return true;
  }

  /** What was acknowledged up to `head` has arrived with the room's messages or lies in its history. */
  settleUpTo(room: string, head: number): void {
    this.entries = this.entries.filter(
      (entry) => entry.room !== room || entry.state !== "sent" || (entry.seq ?? 0) > head,
    );
    this.keep();
  }

  dropRoom(room: string): void {
    this.entries = this.entries.filter((entry) => entry.room !== room);
    this.keep();
  }

  private change(clientId: string, how: (entry: Pending) => void): void {
    const entry = this.entries.find((candidate) => candidate.clientId === clientId);
    if (!entry) return;
    how(entry);
    this.keep();
  }

  private keep(): void {
    if (this.entries.length === 0) this.shelf.remove(this.key);
    else this.shelf.write(this.key, this.entries);
  }
}

function isPending(value: unknown): value is Pending {
  if (typeof value !== "object" || value === null) return false;
  const entry = value as Record<string, unknown>;
  return (
    typeof entry["clientId"] === "string" &&
    typeof entry["room"] === "string" &&
    typeof entry["text"] === "string" &&
    typeof entry["at"] === "number" &&
    ["sending", "sent", "failed"].includes(String(entry["state"])) &&
    (entry["mentions"] === undefined || isIds(entry["mentions"]))
  );
}

function isIds(value: unknown): boolean {
  return Array.isArray(value) && value.every((id) => typeof id === "string");
}
