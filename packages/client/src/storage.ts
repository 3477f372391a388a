// Where the client keeps data across reloads: a small interface, and its implementation in memory.

/**
 * A store of JSON values by key. Implement it for React Native, Node or a database of your own. The client
 * calls `set` and `delete` of one key one after the other, and `clear` alone.
 */
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

/** A write to the storage beneath. It handles its own failure. */
type Write = (inner: Storage) => Promise<void>;

/** The writes of one key: one at a time is in progress, and the latest one waits. */
interface Writes {
  next: Write | undefined;
  done: Promise<void>;
}

/**
 * Passes calls to `inner`, and to memory once `inner` fails: private mode and exceeded quotas cost only the
 * persistence, never a message. Writes of one key happen in their order, whatever the latency of `inner`.
 * Nothing from before a `clear` comes back after it.
 */
export class SafeStorage implements Storage {
  readonly #inner: Promise<Storage>;
  readonly #memory = new MemoryStorage();
  /** The keys with writes in progress. */
  readonly #writes = new Map<string, Writes>();
  /** The keys that this tab has set. */
  readonly #own = new Set<string>();
  #cleared: Promise<unknown> = Promise.resolve();

  constructor(inner: Promise<Storage>) {
    this.#inner = inner.catch(() => new MemoryStorage());
  }

  async get(key: string): Promise<unknown> {
    const cleared = this.#cleared;
    await cleared;
    const kept = await this.#memory.get(key);
    const value = kept ?? (await (await this.#inner).get(key).catch(() => undefined));
    return cleared === this.#cleared ? value : undefined;
  }

  set(key: string, value: unknown): Promise<void> {
    this.#own.add(key);
    return this.#write(key, async (inner) => {
      try {
        await inner.set(key, value);
        await this.#memory.delete(key);
      } catch {
        await this.#memory.set(key, value);
      }
    });
  }

  delete(key: string): Promise<void> {
    this.#own.delete(key);
    return this.#write(key, async (inner) => {
      await this.#memory.delete(key);
      await inner.delete(key).catch(() => undefined);
    });
  }

  async keys(): Promise<string[]> {
    const cleared = this.#cleared;
    await cleared;
    const stored = await (await this.#inner).keys().catch(() => []);
    const kept = await this.#memory.keys();
    return cleared === this.#cleared ? [...new Set([...stored, ...kept])] : [];
  }

  /** Waits for the writes in progress, and drops those that wait for their turn. */
  clear(): Promise<void> {
    return this.#forget((inner) => inner.clear());
  }

  /**
   * Another tab clears the storage: removes what this tab has set, which may have come after. Data that a
   * next user has stored under other keys stays, and so does `except`.
   */
  retract(except: string): Promise<void> {
    this.#own.delete(except);
    const keys = [...this.#own];
    return this.#forget(async (inner) => {
      await Promise.all(keys.map((key) => inner.delete(key)));
    });
  }

  /** Resolves once everything written so far is stored. */
  async settled(): Promise<void> {
    await this.#cleared;
    await Promise.all([...this.#writes.values()].map(({ done }) => done));
  }

  /** Resolves once this write has happened, or a later one of the same key in its place. */
  #write(key: string, write: Write): Promise<void> {
    let writes = this.#writes.get(key);
    if (!writes) {
      writes = { next: undefined, done: Promise.resolve() };
      this.#writes.set(key, writes);
      writes.done = this.#run(key, writes);
    }
    writes.next = write;
    return writes.done;
  }

  async #run(key: string, writes: Writes): Promise<void> {
    await this.#cleared;
    const inner = await this.#inner;
    for (let write = writes.next; write; write = writes.next) {
      writes.next = undefined;
      await write(inner);
    }
    if (this.#writes.get(key) === writes) this.#writes.delete(key);
  }

  /** Later calls wait until `remove` is over. */
  #forget(remove: Write): Promise<void> {
    const begun = [...this.#writes.values()];
    for (const writes of begun) writes.next = undefined;
    this.#writes.clear();
    this.#own.clear();
    const before = this.#cleared;
    const forgotten = (async () => {
      await before;
      await Promise.all(begun.map(({ done }) => done));
      await this.#memory.clear();
      await remove(await this.#inner).catch(() => undefined);
    })();
    this.#cleared = forgotten;
    return forgotten;
  }
}
