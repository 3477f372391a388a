// Runs an action once per burst of calls.

export class Burst {
  readonly #run: () => void;
  readonly #milliseconds: number;
  #timer: ReturnType<typeof setTimeout> | undefined;

  /** A burst has the length of `milliseconds`. */
  constructor(run: () => void, milliseconds = 200) {
    this.#run = run;
    this.#milliseconds = milliseconds;
  }

  /** Runs the action after the burst that begins with the first call. */
  soon(): void {
    this.#timer ??= setTimeout(() => {
      this.#timer = undefined;
      this.#run();
    }, this.#milliseconds);
  }

  /** True if the action was to run. */
  cancel(): boolean {
    const due = this.#timer !== undefined;
    clearTimeout(this.#timer);
    this.#timer = undefined;
    return due;
  }
}
