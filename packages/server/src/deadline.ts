// The time that a request may wait for the server.

/** Aborts a request after `ms` milliseconds of waiting. It starts with its creation. */
export class Deadline {
  readonly #controller = new AbortController();
  readonly #ms: number;
  #timer: ReturnType<typeof setTimeout> | undefined;

  constructor(ms: number) {
    this.#ms = ms;
    this.start();
  }

  get signal(): AbortSignal {
    return this.#controller.signal;
  }

  /** Begins to count from zero. */
  start(): void {
    this.stop();
    const error = new DOMException(`nothing came within ${this.#ms} ms`, "TimeoutError");
    this.#timer = setTimeout(() => this.#controller.abort(error), this.#ms);
  }

  stop(): void {
    clearTimeout(this.#timer);
  }
}
