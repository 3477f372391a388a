// Tells the server how far the user has read, and not more often than needed.

import type { Clock } from "../clock.ts";
import { failureOf, type Request } from "../contract.ts";
import type { Room } from "../state/room.ts";

/** Messages that come within this time are marked together. */
const GATHER_MS = 300;

export interface ReadingParts {
  request: Request;
  clock: Clock;
  changed: () => void;
}

export class Reading {
  private readonly gathering = new Set<Room>();

  constructor(private readonly parts: ReadingParts) {}

  /** The user sees the end of the room now. */
  seen(room: Room): void {
    const { timeline } = room;
    if (room.phase !== "joined" || timeline.hasNewer || timeline.head === 0) return;
    // Reactions and edits move the head too, but nobody reads them.
    if (!room.read(timeline.last?.seq ?? timeline.head) && room.unread === 0) return;
    room.unread = room.mentions = 0;
    if (this.gathering.has(room)) return;
    this.gathering.add(room);
    this.parts.clock.after(GATHER_MS, () => void this.tell(room));
  }

  private async tell(room: Room): Promise<void> {
    this.gathering.delete(room);
    try {
      await this.parts.request("chat:message_read", { room: room.name, seq: room.readSeq });
    } catch (thrown) {
      // The next mark, or the answer to the next join, makes up for a lost one.
      const { code, retryAfterMs } = failureOf(thrown);
      if (code !== "rate_limited" || this.gathering.has(room)) return;
      this.gathering.add(room);
      this.parts.clock.after(retryAfterMs ?? 1_000, () => void this.tell(room));
    }
  }
}
