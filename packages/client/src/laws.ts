// Checks the laws of the log on the snapshots that the app gets, against the entries that the server sent.

import type { Law, LawReport } from "./contract.generated.ts";

export type { Law } from "./contract.generated.ts";

/** The most that the server takes in one report. */
const MOST_REPORTED = 1_000_000;

/** Counts of checked entries and of violations. */
export interface LawCounts {
  readonly entries: number;
  readonly violations: Readonly<Record<Law, number>>;
}

type Counts = { entries: number; violations: Record<Law, number> };

const none = (): Counts => ({ entries: 0, violations: { ascending: 0, dense: 0, once: 0 } });

/**
 * Checks one room: the messages of a snapshot ascend, each comes once, and no entry that the window should
 * hold is missing. It trusts nothing but the numbers from the server.
 */
export class LawChecker {
  /** The number up to which the last snapshot was checked. */
  #upTo = 0;
  /** The numbers after it that have arrived, and whether they are messages. */
  readonly #arrived = new Map<number, boolean>();
  /** Entries that the server no longer has. */
  #removed = 0;
  /** True until the first snapshot of a window is checked. */
  #begins = true;
  #messages: readonly { readonly seq: number }[] = [];
  /** Violations of the order in the last snapshot, which the next one repeats. */
  #repeated = { ascending: 0, once: 0 };
  readonly #counts = none();
  #unreported = none();

  /** The counts since the client was made. */
  get counts(): LawCounts {
    return { entries: this.#counts.entries, violations: { ...this.#counts.violations } };
  }

  /** An entry has arrived, live or in a page. */
  arrived(number: number, isMessage: boolean): void {
    if (number > this.#upTo) this.#arrived.set(number, isMessage);
  }

  /** The server has told that `count` entries no longer exist. */
  removed(count: number): void {
    this.#removed += count;
  }

  /** Checks a snapshot whose window has every entry up to `upTo`. */
  handedOut(messages: readonly { readonly seq: number }[], upTo: number): void {
    if (messages !== this.#messages) this.#checkOrder(messages);
    if (this.#begins) this.#count(messages.filter(({ seq }) => seq <= this.#upTo).length);
    if (upTo !== this.#upTo) this.#checkHoles(messages, upTo);
    this.#messages = messages;
    this.#upTo = upTo;
    this.#removed = 0;
    this.#begins = false;
  }

  /** A new window begins, which has every entry up to `upTo`. Entries after it may have arrived. */
  restart(upTo: number): void {
    this.#begins = true;
    this.#removed = 0;
    this.#upTo = upTo;
    for (const number of this.#arrived.keys()) if (number <= upTo) this.#arrived.delete(number);
  }

  /** The connection is lost, and with it the entries after `upTo`, which wait for others before them. */
  disconnected(upTo: number): void {
    for (const number of this.#arrived.keys()) if (number > upTo) this.#arrived.delete(number);
  }

  /** What was counted since the last report, or undefined if nothing was. */
  takeReport(): LawReport | undefined {
    const { entries, violations } = this.#unreported;
    const broken = (Object.keys(violations) as Law[]).filter((law) => violations[law] > 0);
    if (entries === 0 && broken.length === 0) return undefined;
    this.#unreported = none();
    const bounded = (count: number) => Math.min(count, MOST_REPORTED);
    return {
      entries: bounded(entries),
      ...(broken.length > 0 && {
        violations: broken.map((law) => ({ law, count: bounded(violations[law]) })),
      }),
    };
  }

  /** The server did not get the report: the next one includes it. */
  returnReport({ entries, violations }: LawReport): void {
    this.#unreported.entries += entries;
    for (const { law, count } of violations ?? []) this.#unreported.violations[law] += count;
  }

  #checkOrder(messages: readonly { readonly seq: number }[]): void {
    const found = { ascending: 0, once: 0 };
    let before = 0;
    for (const { seq } of messages) {
      if (seq === before) found.once += 1;
      else if (seq < before) found.ascending += 1;
      before = seq;
    }
    for (const law of ["ascending", "once"] as const)
      this.#violated(law, found[law] - this.#repeated[law]);
    this.#repeated = found;
  }

  #checkHoles(messages: readonly { readonly seq: number }[], upTo: number): void {
    if (upTo < this.#upTo) return this.#violated("ascending", 1);
    const shown = new Set<number>();
    for (let at = messages.length - 1; (messages[at]?.seq ?? 0) > this.#upTo; at--)
      shown.add(messages[at]?.seq ?? 0);
    let entries = 0;
    for (const [number, isMessage] of this.#arrived) {
      if (number > upTo) continue;
      this.#arrived.delete(number);
      entries += 1;
      if (isMessage && !shown.has(number)) this.#violated("dense", 1);
    }
    this.#violated("dense", upTo - this.#upTo - this.#removed - entries);
    this.#count(entries);
  }

  #count(entries: number): void {
    this.#counts.entries += entries;
    this.#unreported.entries += entries;
  }

  #violated(law: Law, count: number): void {
    if (count <= 0) return;
    this.#counts.violations[law] += count;
    this.#unreported.violations[law] += count;
  }
}
