// Time as a parameter: the page uses `wallClock`, tests bring their own.

export interface Clock {
  /** Milliseconds since 1970. */
  now(): number;
  /** Runs `work` once after `ms`; the answer calls it off. */
  after(ms: number, work: () => void): () => void;
}

/** Timers of browsers overflow beyond this and fire at once. */
const LONGEST_TIMER = 2 ** 31 - 1;

export const wallClock: Clock = {
  now: () => Date.now(),
  after(ms, work) {
    const timer = setTimeout(work, Math.min(Math.max(0, ms), LONGEST_TIMER));
    return () => clearTimeout(timer);
  },
};
