// The mutes and bans of others in a room, as lists of members and the acts of moderators tell them.

import type { Member as ListedMember } from "./contract.generated.ts";
import type { ModerationAct } from "./restrictions.ts";
import { Timer } from "./timer.ts";

/** The users whose sanctions are kept. */
const MOST_USERS = 500;

/** Whether a user is muted or banned in a room. What is unknown is undefined. */
export interface KnownSanctions {
  readonly muted?: boolean;
  readonly banned?: boolean;
}

/** When sanctions end, in milliseconds since 1970: 0 after a moderator ended one, Infinity without an end. */
interface Ends {
  readonly muted?: number;
  readonly banned?: number;
}

/** The sanctions of one room. Those with an end go away by themselves. */
export class SanctionList {
  readonly #serverNow: () => number;
  readonly #changed: (sanctions: ReadonlyMap<string, KnownSanctions>) => void;
  /** By user, the one with the latest act last. */
  readonly #ends = new Map<string, Ends>();
  /** The users with an act since `asks` was called last. The answer may be older. */
  #newer = new Set<string>();
  readonly #nextEnd = new Timer(() => this.#publish());

  /** `serverNow` is the server's clock, in milliseconds since 1970. */
  constructor(serverNow: () => number, changed: (sanctions: ReadonlyMap<string, KnownSanctions>) => void) {
    this.#serverNow = serverNow;
    this.#changed = changed;
  }

  /** A moderator has acted in the room. */
  acted({ action, userId, until = Infinity }: ModerationAct): void {
    if (userId === undefined) return;
    this.#newer.add(userId);
    if (action === "mute" || action === "unmute") this.#put(userId, { muted: action === "mute" ? until : 0 });
    if (action === "ban" || action === "unban") this.#put(userId, { banned: action === "ban" ? until : 0 });
    this.#publish();
  }

  /** Call this before you ask the server for members, and what it returns with a moderator's answer. */
  asks(): (members: readonly ListedMember[]) => void {
    const newer = (this.#newer = new Set<string>());
    return (members) => {
      // Forgotten meanwhile, or there is a later question.
      if (newer !== this.#newer) return;
      for (const { userId, muted } of members)
        if (!newer.has(userId)) this.#put(userId, { muted: muted ? (muted.until ?? Infinity) : 0 });
      this.#publish();
    };
  }

  /** The server tells the room's acts no longer. */
  clear(): void {
    this.#newer = new Set();
    if (this.#ends.size === 0) return;
    this.#ends.clear();
    this.#publish();
  }

  #put(userId: string, ends: Ends): void {
    const before = this.#ends.get(userId);
    this.#ends.delete(userId);
    this.#ends.set(userId, { ...before, ...ends });
    const [oldest] = this.#ends.keys();
    if (this.#ends.size > MOST_USERS && oldest !== undefined) this.#ends.delete(oldest);
  }

  #publish(): void {
    const now = this.#serverNow();
    const sanctions = new Map<string, KnownSanctions>();
    let next = Infinity;
    for (const [userId, { muted, banned }] of this.#ends) {
      for (const end of [muted, banned]) if (end !== undefined && end > now) next = Math.min(next, end);
      sanctions.set(userId, {
        ...(muted !== undefined && { muted: muted > now }),
        ...(banned !== undefined && { banned: banned > now }),
      });
    }
    this.#nextEnd.in(next - now);
    this.#changed(sanctions);
  }
}
