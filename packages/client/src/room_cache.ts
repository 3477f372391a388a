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
    void this.#used(room);
    await this.#storage.set(LOG + room, saved);
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
    await this.#storage.delete(LOG + room);
    await this.#reorder((names) => names.filter((name) => name !== room));
  }

  /** The names of the kept rooms. */
  names(): Promise<readonly string[]> {
    return this.#names;
  }

  /** The storage was cleared. */
  cleared(): void {
    this.#life += 1;
    this.#names = Promise.resolve([]);
  }

  async #used(room: string): Promise<void> {
    await this.#reorder((names) =>
      names.at(-1) === room ? names : [...names.filter((name) => name !== room), room],
    );
  }

  /** Changes the order, and removes the rooms beyond the bound. */
  async #reorder(change: (names: string[]) => string[], life = this.#life): Promise<void> {
    const before = this.#names;
    const names = await before;
    if (life !== this.#life) return;
    // Another change may have come first.
    if (before !== this.#names) return this.#reorder(change, life);
    const next = change(names);
    if (next === names) return;
    const surplus = next.splice(0, Math.max(0, next.length - this.#most));
    this.#names = Promise.resolve(next);
    const removed = surplus.map((name) => this.#storage.delete(LOG + name));
    await Promise.all([...removed, this.#storage.set(ORDER, next)]);
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
