// Enters the rooms of the list on every new connection: first time with the newest page, later from where
// we stood.

import type { Clock } from "../clock.ts";
import { failureOf, type JoinAnswer, type Request } from "../contract.ts";
import type { Room } from "../state/room.ts";

/** Joins in flight at once, so that a long list does not use up the user's allowance in one burst. */
const AT_ONCE = 4;
const PAGE = 50;
/** A resume may bring more than a first page, for it spares a round trip. */
const RESUME_PAGE = 200;
const RETRY_MS = 2_000;

export interface JoiningParts {
  request: Request;
  clock: Clock;
  entered: (room: Room, answer: JoinAnswer, resuming: boolean) => void;
  changed: () => void;
}

export class Joining {
  private queue: Room[] = [];
  private inFlight = 0;
  /** Grows with each connection; what belongs to an earlier one no longer counts. */
  private round = 0;

  constructor(private readonly parts: JoiningParts) {}

  /** A new connection: all rooms must be joined again, the first of the list first. */
  start(rooms: Room[]): void {
    this.round += 1;
    this.inFlight = 0;
    this.queue = [...rooms];
    this.fill();
  }

  /** The connection is gone. */
  stop(): void {
    this.round += 1;
    this.queue = [];
  }

  /** One more room on a live connection; it goes first. */
  enter(room: Room): void {
    this.queue = [room, ...this.queue.filter((other) => other !== room)];
    this.fill();
  }

  /** The room was taken off the list. */
  forget(room: Room): void {
    this.queue = this.queue.filter((other) => other !== room);
  }

  private fill(): void {
    while (this.inFlight < AT_ONCE) {
      const room = this.queue.shift();
      if (!room) return;
      this.inFlight += 1;
      void this.join(room, this.round);
    }
  }

  private async join(room: Room, round: number): Promise<void> {
    const from = room.resumePoint();
    try {
      const limit = from ? RESUME_PAGE : PAGE;
      const answer = await this.parts.request("chat:join", { room: room.name, ...from, limit });
      if (round !== this.round) return;
      this.parts.entered(room, answer, from !== undefined);
    } catch (thrown) {
      if (round !== this.round) return;
      const failure = failureOf(thrown);
      if (failure.retryable)
        this.parts.clock.after(
          failure.retryAfterMs ?? RETRY_MS,
          () => round === this.round && this.enter(room),
        );
      else room.refused(failure);
    }
    this.inFlight -= 1;
    this.parts.changed();
    this.fill();
  }
}
