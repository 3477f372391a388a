// A value that can be observed, in the shape of React's `useSyncExternalStore`.

/** An observable value. Snapshots are immutable and keep their identity between changes. */
export interface Store<T> {
  /** The present value. */
  getSnapshot(): T;
  /** The first snapshot: what a server renders, and what a browser hydrates. */
  getServerSnapshot(): T;
  /** Calls `listener` after each change. Returns a function that ends this. */
  subscribe(listener: () => void): () => void;
}

/** A store that changes its own value. */
export abstract class ObservableStore<T> implements Store<T> {
  #value: T;
  readonly #initial: T;
  readonly #listeners = new Set<() => void>();

  constructor(value: T) {
    this.#value = value;
    this.#initial = value;
  }

  /** The present value. */
  readonly getSnapshot = (): T => this.#value;

  /** The first snapshot: what a server renders, and what a browser hydrates. */
  readonly getServerSnapshot = (): T => this.#initial;

  /** Calls `listener` after each change. Returns a function that ends this. */
  readonly subscribe = (listener: () => void): (() => void) => {
    this.#listeners.add(listener);
    return () => this.#listeners.delete(listener);
  };

  protected set(value: T): void {
    if (Object.is(value, this.#value)) return;
    this.#value = value;
    for (const listener of [...this.#listeners]) listener();
  }

  /** Replaces some fields of an object value. */
  protected patch(fields: Partial<T>): void {
    this.set({ ...this.#value, ...fields });
  }
}

/** A store whose owner sets the value. */
export class WritableStore<T> extends ObservableStore<T> {
  override set(value: T): void {
    super.set(value);
  }
}
