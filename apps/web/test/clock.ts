// Time that only moves when a test says so.

import type { Clock } from "../src/clock.ts";
import type { Shelf } from "../src/storage.ts";

export class TestClock implements Clock {
  private time = 1_000_000;
  private timers: { at: number; work: () => void }[] = [];

  now = (): number => this.time;

  after = (ms: number, work: () => void): (() => void) => {
    const timer = { at: this.time + ms, work };
    this.timers.push(timer);
    return () => void (this.timers = this.timers.filter((other) => other !== timer));
  };

  /** Moves on, running what falls due in order and letting promises settle between. */
  async pass(ms: number): Promise<void> {
    const end = this.time + ms;
    for (;;) {
      await settle();
      const next = this.timers.filter((timer) => timer.at <= end).sort((a, b) => a.at - b.at)[0];
      if (!next) break;
      this.timers = this.timers.filter((timer) => timer !== next);
      this.time = Math.max(this.time, next.at);
      next.work();
    }
    this.time = end;
  }
}

export async function settle(): Promise<void> {
  for (let i = 0; i < 20; i += 1) await Promise.resolve();
}

export function memoryShelf(): Shelf {
  const kept = new Map<string, string>();
  return {
    read: (key) => (kept.has(key) ? (JSON.parse(kept.get(key) ?? "") as unknown) : undefined),
    write: (key, value) => void kept.set(key, JSON.stringify(value)),
    remove: (key) => void kept.delete(key),
  };
}
