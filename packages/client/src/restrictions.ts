// What moderators have ordered in a room: as the server tells it with a join and live, and as refusals show
// it.

import type { Failure, ServerEvents, Standing } from "./contract.ts";
import { Timer } from "./timer.ts";

/** A mute whose end is unknown is forgotten after this many milliseconds: the next message asks again. */
const UNKNOWN_END = 30_000;

/** An act of a moderator, as `chat:moderation` carries it. */
export type ModerationAct = ServerEvents["chat:moderation"];

/** A mute or a ban of the user. */
export interface Sanction {
  /** When it ends, in milliseconds since 1970 by the server's clock. Undefined if that is open or unknown. */
  readonly until?: number;
  readonly reason?: string;
}

/**
 * The orders that hold for the user, as far as the client knows: the server tells changes, and refuses what
 * they forbid. Freezing and slow mode do not bind moderators and owners.
 */
export interface Restrictions {
  readonly frozen: boolean;
  /** Seconds between two messages of a user; 0 without slow mode. */
  readonly slowMode: number;
  /** When slow mode lets the user write again, in milliseconds since 1970 by this device's clock. */
  readonly waitUntil?: number;
  readonly muted?: Sanction;
  readonly banned?: Sanction;
}

/** What holds in a room without orders. */
export const UNRESTRICTED: Restrictions = { frozen: false, slowMode: 0 };

export interface RestrictionOptions {
  readonly userId: () => string | undefined;
  /** The server's clock, in milliseconds since 1970. */
  readonly serverNow: () => number;
}

/** The restrictions of one room. Those with an end go away by themselves. */
export class RestrictionKeeper {
  readonly #options: RestrictionOptions;
  readonly #changed: (restrictions: Restrictions) => void;
  /** What moderators have changed since the room was last offline. An answer to a join may be older. */
  readonly #newer = new Set<"frozen" | "slowMode" | "muted">();
  #present = UNRESTRICTED;
  readonly #muteEnd = new Timer(() => this.#drop("muted"));
  readonly #banEnd = new Timer(() => this.#drop("banned"));
  readonly #waitEnd = new Timer(() => this.#drop("waitUntil"));

  constructor(options: RestrictionOptions, changed: (restrictions: Restrictions) => void) {
    this.#options = options;
    this.#changed = changed;
  }

  get present(): Restrictions {
    return this.#present;
  }

  /** The server tells the room's changes no longer. */
  offline(): void {
    this.#newer.clear();
  }

  /** The server has sent the restrictions in force. They replace the known ones, which may have ended. */
  entered({ frozen, slowMode, retryAfterMs, muted }: Standing): void {
    this.#unban();
    const changesSpeed = !this.#newer.has("slowMode");
    // In one step: a view never sees half of an answer.
    this.#set({ ...(!this.#newer.has("frozen") && { frozen }), ...(changesSpeed && { slowMode }) });
    if (changesSpeed) this.#waitFor(retryAfterMs);
    if (this.#newer.has("muted")) return;
    if (muted) this.#mute(muted);
    else this.#unmute();
  }

  /** A moderator has acted. */
  acted({ action, userId, until, reason, seconds = 0 }: ModerationAct): void {
    const sanction: Sanction = { ...(until !== undefined && { until }), ...(reason && { reason }) };
    if (action === "freeze" || action === "unfreeze") {
      this.#newer.add("frozen");
      this.#set({ frozen: action === "freeze" });
    } else if (action === "slow_mode") {
      this.#newer.add("slowMode");
      this.#set({ slowMode: seconds });
      if (seconds === 0) this.#waitFor(0);
    } else if (userId !== this.#options.userId()) return;
    else if (action === "mute" || action === "unmute") {
      this.#newer.add("muted");
      if (action === "mute") this.#mute(sanction);
      else this.#unmute();
    } else if (action === "ban") this.#ban(sanction);
    else if (action === "unban") this.#unban();
  }

  /** The server has refused a message or a change of the user. */
  refused({ code, retryAfterMs }: Failure): void {
    if (code === "slow_mode" && retryAfterMs !== undefined) this.#waitFor(retryAfterMs);
    if (code === "muted" && !this.#present.muted) {
      this.#set({ muted: {} });
      this.#muteEnd.in(UNKNOWN_END);
    }
  }

  /** The server has stored a message of the user. */
  wrote(): void {
    if (this.#present.slowMode > 0) this.#waitFor(this.#present.slowMode * 1_000);
  }

  close(): void {
    for (const end of [this.#muteEnd, this.#banEnd, this.#waitEnd]) end.cancel();
  }

  #waitFor(milliseconds: number): void {
    if (milliseconds <= 0) return this.#endWait();
    this.#set({ waitUntil: Date.now() + milliseconds });
    this.#waitEnd.in(milliseconds);
  }

  #mute(sanction: Sanction): void {
    this.#set({ muted: sanction });
    this.#muteEnd.in(this.#remaining(sanction));
  }

  #ban(sanction: Sanction): void {
    this.#set({ banned: sanction });
    this.#banEnd.in(this.#remaining(sanction));
  }

  /** Milliseconds until the sanction ends. */
  #remaining({ until }: Sanction): number {
    return until === undefined ? Infinity : until - this.#options.serverNow();
  }

  #endWait(): void {
    this.#waitEnd.cancel();
    this.#drop("waitUntil");
  }

  #unmute(): void {
    this.#muteEnd.cancel();
    this.#drop("muted");
  }

  #unban(): void {
    this.#banEnd.cancel();
    this.#drop("banned");
  }

  #drop(field: "waitUntil" | "muted" | "banned"): void {
    if (this.#present[field] === undefined) return;
    const { [field]: _, ...rest } = this.#present;
    this.#present = rest as Restrictions;
    this.#changed(this.#present);
  }

  #set(fields: Partial<Restrictions>): void {
    this.#present = { ...this.#present, ...fields };
    this.#changed(this.#present);
  }
}
