// What moderators have ordered in a room: as the server tells it live, and as refusals of messages show it.

import type { Failure, ServerEvents } from "./contract.ts";

/** A mute whose end is unknown is forgotten after this many milliseconds: the next message asks anew. */
const UNKNOWN_END = 30_000;
/** The longest delay of a timer; browsers run longer ones at once. */
const LONGEST_TIMER = 2 ** 31 - 1;

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

const NONE: Restrictions = { frozen: false, slowMode: 0 };

export interface RestrictionOptions {
  readonly userId: () => string | undefined;
  /** The server's clock, in milliseconds since 1970. */
  readonly serverNow: () => number;
  readonly changed: (restrictions: Restrictions) => void;
}

/** The restrictions of one room. Those with an end go away by themselves. */
export class RestrictionKeeper {
  readonly #options: RestrictionOptions;
  #present = NONE;
  #mute: ReturnType<typeof setTimeout> | undefined;
  #wait: ReturnType<typeof setTimeout> | undefined;

  constructor(options: RestrictionOptions) {
    this.#options = options;
  }

  get present(): Restrictions {
    return this.#present;
  }

  /** A moderator has acted. */
  acted({ action, userId, until, reason, seconds = 0 }: ModerationAct): void {
    const sanction: Sanction = { ...(until !== undefined && { until }), ...(reason && { reason }) };
    if (action === "freeze" || action === "unfreeze") this.#set({ frozen: action === "freeze" });
    else if (action === "slow_mode") {
      this.#set({ slowMode: seconds });
      if (seconds === 0) this.#waitFor(0);
    } else if (userId !== this.#options.userId()) return;
    else if (action === "mute") {
      this.#set({ muted: sanction });
      this.#muteEndsIn(until === undefined ? undefined : until - this.#options.serverNow());
    } else if (action === "unmute") this.#unmute();
    else if (action === "ban") this.#set({ banned: sanction });
    else if (action === "unban") this.#drop("banned");
  }

  /** The server has refused a message or a change of the user. */
  refused({ code, retryAfterMs }: Failure): void {
    if (code === "slow_mode" && retryAfterMs !== undefined) this.#waitFor(retryAfterMs);
    if (code === "muted" && !this.#present.muted) {
      this.#set({ muted: {} });
      this.#muteEndsIn(UNKNOWN_END);
    }
  }

  /** The server has stored a message of the user. */
  wrote(): void {
    if (this.#present.slowMode > 0) this.#waitFor(this.#present.slowMode * 1_000);
  }

  /** The room is joined anew: what was ordered before may have ended meanwhile. */
  forget(): void {
    this.close();
    if (this.#present === NONE) return;
    this.#present = NONE;
    this.#options.changed(NONE);
  }

  close(): void {
    clearTimeout(this.#mute);
    clearTimeout(this.#wait);
  }

  #waitFor(milliseconds: number): void {
    clearTimeout(this.#wait);
    if (milliseconds <= 0) return this.#drop("waitUntil");
    this.#set({ waitUntil: Date.now() + milliseconds });
    this.#wait = setTimeout(() => this.#drop("waitUntil"), Math.min(milliseconds, LONGEST_TIMER));
  }

  #muteEndsIn(milliseconds: number | undefined): void {
    clearTimeout(this.#mute);
    if (milliseconds === undefined || milliseconds > LONGEST_TIMER) return;
    this.#mute = setTimeout(() => this.#unmute(), Math.max(0, milliseconds));
  }

  #unmute(): void {
    clearTimeout(this.#mute);
    this.#drop("muted");
  }

  #drop(field: "waitUntil" | "muted" | "banned"): void {
    if (this.#present[field] === undefined) return;
    const { [field]: _, ...rest } = this.#present;
    this.#present = rest as Restrictions;
    this.#options.changed(this.#present);
  }

  #set(fields: Partial<Restrictions>): void {
    this.#present = { ...this.#present, ...fields };
    this.#options.changed(this.#present);
  }
}
