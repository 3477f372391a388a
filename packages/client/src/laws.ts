// Checks the laws of the log on the entries that the client hands to the app.

/** A law of the log. */
export type Law = "ascending" | "dense" | "once";

/** Counts of checked entries and of violations. */
export interface LawCounts {
  readonly entries: number;
  readonly violations: Readonly<Record<Law, number>>;
}

/** Checks one room's entries: their numbers ascend, have no hole, and come once. */
export class LawChecker {
  #last: number | undefined;
  #entries = 0;
  readonly #violations: Record<Law, number> = { ascending: 0, dense: 0, once: 0 };

  /** The counts since the client was made. */
  get counts(): LawCounts {
    return { entries: this.#entries, violations: { ...this.#violations } };
  }

  /** Checks the next entry's number. */
  check(number: number): void {
    this.#entries += 1;
    if (this.#last !== undefined) {
      if (number === this.#last) this.#violations.once += 1;
      else if (number < this.#last) this.#violations.ascending += 1;
      else if (number > this.#last + 1) this.#violations.dense += 1;
    }
    this.#last = number;
  }

  /** Starts a new sequence after `last`, for a new window. */
  restart(last?: number): void {
    this.#last = last;
  }
}
