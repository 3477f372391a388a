// Fetches the user's notifications and tells the server which were read.

import type { Clock } from "../clock.ts";
import { failureOf, type Request } from "../contract.ts";
import { MOST_NOTICES, type Notices } from "../state/notices.ts";

const RETRY_MS = 2_000;

export interface NoticingParts {
  notices: Notices;
  request: Request;
  clock: Clock;
  /** Something could not be done; for the user. */
  failed: (words: string) => void;
  changed: () => void;
}

export class Noticing {
  constructor(private readonly parts: NoticingParts) {}

  /** Gets the newest: on every new connection, and when another device has read some. */
  async load(): Promise<void> {
    const { notices, request, clock, changed } = this.parts;
    try {
      notices.listed(await request("notification:list", { limit: MOST_NOTICES }));
      changed();
    } catch (thrown) {
      const { code, retryable, retryAfterMs } = failureOf(thrown);
      // Without a connection the next one asks again.
      if (retryable && code !== "offline") clock.after(retryAfterMs ?? RETRY_MS, () => void this.load());
    }
  }

  async read(which: { id: string } | { all: true }): Promise<void> {
    const { notices, request, clock, failed, changed } = this.parts;
    try {
      const { unread } = await request("notification:read", which);
      notices.read(which, unread, clock.now());
      changed();
    } catch (thrown) {
      failed(`Could not mark as read: ${failureOf(thrown).message}`);
    }
  }
}
