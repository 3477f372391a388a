// Tabs in one process: Web Locks, which Node 20 lacks, and clients that share storage, lock and channel.

import { vi } from "vitest";

/** Exclusive locks by name: first come, first served. */
class Locks {
  readonly #last = new Map<string, Promise<unknown>>();

  request(name: string, granted: () => unknown): Promise<unknown> {
    const held = (this.#last.get(name) ?? Promise.resolve()).then(granted);
    this.#last.set(
      name,
      held.catch(() => undefined),
    );
    return held;
  }
}

/** Gives clients in this process the locks of a browser. */
export function withLocks(): void {
  vi.stubGlobal("navigator", { locks: new Locks() });
}
