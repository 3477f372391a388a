// Learns of the rooms that the user is a member of and that are not on this page's list: joined elsewhere,
// or put there by others.

import type { Clock } from "../clock.ts";
import { failureOf, type Request } from "../contract.ts";

const PAGE = 100;
const RETRY_MS = 2_000;

export interface InboxParts {
  request: Request;
  clock: Clock;
  /** The user is a member of this room. False: no more of them are wanted. */
  found: (room: string) => boolean;
}

export class Inbox {
  constructor(private readonly parts: InboxParts) {}

  /** Asks on every new connection, page by page. */
  async load(after?: string): Promise<void> {
    const { request, clock, found } = this.parts;
    try {
      const { rooms, next } = await request("chat:inbox", {
        limit: PAGE,
        ...(after === undefined ? {} : { after }),
      });
      if (rooms.every(({ room }) => found(room)) && next !== undefined) await this.load(next);
    } catch (thrown) {
      const { code, retryable, retryAfterMs } = failureOf(thrown);
      // Without a connection the next one asks again.
      if (retryable && code !== "offline")
        clock.after(retryAfterMs ?? RETRY_MS, () => void this.load(after));
    }
  }
}
