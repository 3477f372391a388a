// Users typing in a room, until they stop, send, or time out.

/** The server ends typing after 6 s by itself; this bound matters only if its word got lost. */
const SILENCE_MS = 8_000;
/** More names than anybody can read; the rest are not kept. */
const MOST = 20;

export class Typing {
  private readonly until = new Map<string, number>();

  start(userId: string, now: number): void {
    if (this.until.size >= MOST && !this.until.has(userId)) return;
    this.until.set(userId, now + SILENCE_MS);
  }

  /** True if the user was typing. */
  stop(userId: string): boolean {
    return this.until.delete(userId);
  }

  clear(): void {
    this.until.clear();
  }

  /** Those who type now; the silent are forgotten. */
  active(now: number): string[] {
    for (const [userId, end] of this.until) if (end <= now) this.until.delete(userId);
    return [...this.until.keys()];
  }

  /** When the next one falls silent, or undefined if nobody types. */
  nextEnd(): number | undefined {
    return this.until.size === 0 ? undefined : Math.min(...this.until.values());
  }
}
