// The users whom the user has blocked.

import type { Request } from "./contract.ts";
import { ObservableStore } from "./store.ts";

/** The ids of the blocked users. Views hide what these users write in common rooms. */
export class Blocks extends ObservableStore<ReadonlySet<string>> {
  readonly #request: Request;
  /** Counts changes, so that a list that was read before one does not undo it. */
  #changes = 0;

  constructor(request: Request) {
    super(new Set());
    this.#request = request;
  }

  /** Fetches the list. The client calls it on each new connection. @internal */
  async load(): Promise<void> {
    let changes: number;
    let users: readonly string[];
    do {
      changes = this.#changes;
      ({ users } = await this.#request("user:blocks", {}));
    } while (changes !== this.#changes);
    const known = this.getSnapshot();
    if (users.length !== known.size || users.some((user) => !known.has(user)))
      this.set(new Set(users));
  }

  /** Blocks or unblocks a user. @internal */
  async ask(userId: string, blocked: boolean): Promise<void> {
    await this.#request(blocked ? "user:block" : "user:unblock", { userId });
    this.changed(userId, blocked);
  }

  /** The user has blocked or unblocked somebody, on this or another device. @internal */
  changed(userId: string, blocked: boolean): void {
    this.#changes += 1;
    const users = new Set(this.getSnapshot());
    if (users.has(userId) === blocked) return;
    if (blocked) users.add(userId);
    else users.delete(userId);
    this.set(users);
  }
}
