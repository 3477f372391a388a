// Timers whose delay may be longer than a browser's timer allows.

/** The longest delay of a timer, in milliseconds; browsers run longer ones at once. */
export const LONGEST_DELAY = 2 ** 31 - 1;

/** Runs its action once after a delay, of which the last one asked for counts. */
export class Timer {
  readonly #run: () => void;
  #timer: ReturnType<typeof setTimeout> | undefined;

  constructor(run: () => void) {
    this.#run = run;
  }

  in(milliseconds: number): void {
    this.cancel();
    if (milliseconds === Infinity) return;
    const delay = Math.min(Math.max(milliseconds, 0), LONGEST_DELAY);
    this.#timer = setTimeout(
      () => (milliseconds > delay ? this.in(milliseconds - delay) : this.#run()),
      delay,
    );
  }

  cancel(): void {
    clearTimeout(this.#timer);
  }
}
