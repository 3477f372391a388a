// The other users who are typing in a room.

/** The server ends typing after 6 s; this timer only helps if that event is lost. */
const LONGEST = 7_000;

export class TypingUsers {
  readonly #timers = new Map<string, ReturnType<typeof setTimeout>>();
  readonly #changed: (userIds: readonly string[]) => void;

  constructor(changed: (userIds: readonly string[]) => void) {
    this.#changed = changed;
  }

  started(userId: string): void {
    clearTimeout(this.#timers.get(userId));
    this.#timers.set(
      userId,
      setTimeout(() => this.stopped(userId), LONGEST),
    );
    this.#changed([...this.#timers.keys()]);
  }

  stopped(userId: string): void {
    clearTimeout(this.#timers.get(userId));
    if (this.#timers.delete(userId)) this.#changed([...this.#timers.keys()]);
  }

  /** Forgets everybody, without a call of `changed`. */
  clear(): void {
    for (const timer of this.#timers.values()) clearTimeout(timer);
    this.#timers.clear();
  }
}
