// Where the client keeps data across reloads: a small interface, and its implementation in memory.

/** A store of JSON values by key. Implement it for React Native, Node or a database of your own. */
export interface Storage {
  /** The value of a key, or undefined. */
  get(key: string): Promise<unknown>;
  /** Rejects if the value cannot be kept, for example over a quota. */
  set(key: string, value: unknown): Promise<void>;
  /** Removes a key; one that does not exist is no error. */
  delete(key: string): Promise<void>;
  /** All keys, in any order. */
  keys(): Promise<string[]>;
  /** Removes all keys. */
  clear(): Promise<void>;
}

/** Keeps values in memory, until the page is closed. */
export class MemoryStorage implements Storage {
  readonly #values = new Map<string, unknown>();

  async get(key: string): Promise<unknown> {
    return structuredClone(this.#values.get(key));
  }

  async set(key: string, value: unknown): Promise<void> {
    this.#values.set(key, structuredClone(value));
  }

  async delete(key: string): Promise<void> {
    this.#values.delete(key);
  }

  async keys(): Promise<string[]> {
    return [...this.#values.keys()];
  }

  async clear(): Promise<void> {
    this.#values.clear();
  }
}

/**
 * Passes calls to `inner`, and to memory once `inner` fails: private mode and exceeded quotas cost only the
 * persistence, never a message. Nothing from before a `clear` comes back after it.
 */
export class SafeStorage implements Storage {
  readonly #inner: Promise<Storage>;
  readonly #memory = new MemoryStorage();
  #cleared: Promise<unknown> = Promise.resolve();

  constructor(inner: Promise<Storage>) {
    this.#inner = inner.catch(() => this.#memory);
  }

  async get(key: string): Promise<unknown> {
    const cleared = this.#cleared;
    await cleared;
    const kept = await this.#memory.get(key);
    const value = kept ?? (await (await this.#inner).get(key).catch(() => undefined));
    return cleared === this.#cleared ? value : undefined;
  }

  async set(key: string, value: unknown): Promise<void> {
    await this.#cleared;
    try {
      await (await this.#inner).set(key, value);
      await this.#memory.delete(key);
    } catch {
      await this.#memory.set(key, value);
    }
  }

  async delete(key: string): Promise<void> {
    await this.#cleared;
    await this.#memory.delete(key);
    await (await this.#inner).delete(key).catch(() => undefined);
  }

  async keys(): Promise<string[]> {
    await this.#cleared;
    const stored = await (await this.#inner).keys().catch(() => []);
    return [...new Set([...stored, ...(await this.#memory.keys())])];
  }

  async clear(): Promise<void> {
    this.#cleared = this.#clear();
    await this.#cleared;
  }

  async #clear(): Promise<void> {
    await this.#memory.clear();
    await (await this.#inner).clear().catch(() => undefined);
  }
}
