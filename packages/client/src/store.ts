// A value that can be observed, in the shape of React's `useSyncExternalStore`.

/** An observable value. Snapshots are immutable and keep their identity between changes. */
export interface Store<T> {
  getSnapshot(): T;
  /** The first snapshot: what a server renders, and what a browser hydrates. */
  getServerSnapshot(): T;
  /** Calls `listener` after each change. Returns a function that ends this. */
  subscribe(listener: () => void): () => void;
}

/** A store whose owner sets the value. */
export class WritableStore<T> implements Store<T> {
  #value: T;
  readonly #initial: T;
  readonly #listeners = new Set<() => void>();

  constructor(value: T) {
    this.#value = value;
    this.#initial = value;
  }

  readonly getSnapshot = (): T => this.#value;
  readonly getServerSnapshot = (): T => this.#initial;

  readonly subscribe = (listener: () => void): (() => void) => {
    this.#listeners.add(listener);
    return () => this.#listeners.delete(listener);
  };

  set(value: T): void {
    if (Object.is(value, this.#value)) return;
    this.#value = value;
    for (const listener of [...this.#listeners]) listener();
  }

  /** Replaces some fields of an object value. */
  patch(fields: Partial<T>): void {
    this.set({ ...this.#value, ...fields });
  }
}
