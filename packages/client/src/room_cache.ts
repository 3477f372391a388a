// The rooms that are kept across reloads: messages of the most recently used ones, and drafts.

import type { Draft } from "./contract.ts";
import type { SavedLog } from "./room_log.ts";
import type { Storage } from "./storage.ts";

const LOG = "room/";
const DRAFT = "draft/";
/** The key of the rooms' names, the least recently used one first. */
const ORDER = "rooms";

export class RoomCache {
  readonly #storage: Storage;
  readonly #most: number;
  /** The names of the kept rooms, the least recently used one first. */
  #names: Promise<string[]>;
  /** Counts the times that the storage was cleared. */
  #life = 0;

  /** Keeps the messages of `most` rooms. The client's storage never fails with data of the server. */
  constructor(storage: Storage, most: number) {
    this.#storage = storage;
    this.#most = most;
    this.#names = this.#load();
  }

  async log(room: string): Promise<SavedLog | undefined> {
    const saved = (await this.#storage.get(LOG + room)) as SavedLog | undefined;
    if (saved) void this.#used(room);
    return saved;
  }

  async saveLog(room: string, saved: SavedLog): Promise<void> {
    // A removal that is due must not undo it.
    await this.#used(room, () => this.#storage.set(LOG + room, saved));
  }

  async draft(room: string): Promise<Draft | undefined> {
    return (await this.#storage.get(DRAFT + room)) as Draft | undefined;
  }

  /** Without `draft`, forgets it. */
  async saveDraft(room: string, draft?: Draft): Promise<void> {
    const key = DRAFT + room;
    await (draft ? this.#storage.set(key, draft) : this.#storage.delete(key)).catch(() => undefined);
  }

  /** The user has lost the room: removes its messages and the draft. */
  async delete(room: string): Promise<void> {
    void this.saveDraft(room);
    await this.#reorder(
      (names) => names.filter((name) => name !== room),
      () => this.#storage.delete(LOG + room),
    );
  }

  /** The names of the kept rooms. Resolves once the writes that they need have begun. */
  names(): Promise<readonly string[]> {
    return this.#names;
  }

  /** The storage was cleared. */
  cleared(): void {
    this.#life += 1;
    this.#names = Promise.resolve([]);
  }

  /** Makes a room the most recently used one, and calls `write` if the bound allows any room. */
  #used(room: string, write?: () => Promise<void>): Promise<void> {
    return this.#reorder(
      (names) => (names.at(-1) === room ? names : [...names.filter((name) => name !== room), room]),
      (names) => (names.at(-1) === room ? write?.() : undefined),
    );
  }

  /** Changes the order, removes the rooms beyond the bound, and then calls `write` with the order. */
  async #reorder(
    change: (names: string[]) => string[],
    write?: (names: string[]) => Promise<void> | undefined,
  ): Promise<void> {
    const life = this.#life;
    let written: Promise<void> | undefined;
    this.#names = this.#names.then((names) => {
      if (life !== this.#life) return names;
      const next = change(names);
      if (next !== names) this.#store(next);
      written = write?.(next);
      return next;
    });
    await this.#names;
    await written;
  }

  /** Stores an order, after the removal of the rooms beyond the bound. */
  #store(names: string[]): void {
    const surplus = names.splice(0, Math.max(0, names.length - this.#most));
    for (const name of surplus) void this.#storage.delete(LOG + name);
    void this.#storage.set(ORDER, names);
  }

  async #load(): Promise<string[]> {
    const keys = await this.#storage.keys();
    const order = ((await this.#storage.get(ORDER)) ?? []) as string[];
    const kept = new Set(keys.filter((key) => key.startsWith(LOG)).map((key) => key.slice(LOG.length)));
    // Rooms that only another tab has ordered count as old.
    const unordered = [...kept].filter((name) => !order.includes(name));
    return [...unordered, ...order.filter((name) => kept.has(name))];
  }
}
