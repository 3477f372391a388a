// Presence of watched users. Watches are counted, so that views can share a user.

import type { Presence, Request } from "./contract.ts";
import { ObservableStore } from "./store.ts";

/** Users in one subscription: the server's limit. */
const MOST_USERS = 200;

/** The presence of watched users by id. */
export type PresenceSnapshot = ReadonlyMap<string, Presence>;

/** The presence of the users that the app watches. */
export class PresenceWatcher extends ObservableStore<PresenceSnapshot> {
  readonly #request: Request;
  readonly #watches = new Map<string, number>();

  constructor(request: Request) {
    super(new Map());
    this.#request = request;
  }

  /** Watches users. Returns a function that ends the watch. */
  watch(users: readonly string[]): () => void {
    const added = users.filter((user) => !this.#watches.has(user));
    for (const user of users) this.#watches.set(user, (this.#watches.get(user) ?? 0) + 1);
    void this.#ask(added);
    let ended = false;
    return () => {
      if (ended) return;
      ended = true;
      this.#unwatch(users);
    };
  }

  /** A new connection has no subscriptions: makes them again. @internal */
  connected(): void {
    void this.#ask([...this.#watches.keys()]);
  }

  /** A change of a user's presence. Ignores users that nobody watches. @internal */
  changed(presence: Presence): void {
    if (!this.#watches.has(presence.userId)) return;
    this.#put([presence]);
  }

  #unwatch(users: readonly string[]): void {
    const gone: string[] = [];
    for (const user of users) {
      const left = (this.#watches.get(user) ?? 1) - 1;
      if (left > 0) this.#watches.set(user, left);
      else {
        this.#watches.delete(user);
        gone.push(user);
      }
    }
    if (gone.length === 0) return;
    const kept = new Map(this.getSnapshot());
    for (const user of gone) kept.delete(user);
    this.set(kept);
    this.#request("presence:unsubscribe", { users: gone }).catch(() => undefined);
  }

  async #ask(users: string[]): Promise<void> {
    for (let at = 0; at < users.length; at += MOST_USERS) {
      const some = users.slice(at, at + MOST_USERS);
      try {
        this.#put((await this.#request("presence:subscribe", { users: some })).users);
      } catch {
        return; // The next connection asks again.
      }
    }
  }

  #put(all: readonly Presence[]): void {
    const next = new Map(this.getSnapshot());
    for (const presence of all) {
      if (this.#watches.has(presence.userId))
        next.set(presence.userId, { ...next.get(presence.userId), ...presence });
    }
    this.set(next);
  }
}
