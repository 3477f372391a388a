// A value that components share, in the shape of `useSyncExternalStore`.

import type { Store } from "@roomful/client";

export class Cell<T> implements Store<T> {
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

  readonly set = (value: T): void => {
    if (Object.is(value, this.#value)) return;
    this.#value = value;
    for (const listener of [...this.#listeners]) listener();
  };
}
