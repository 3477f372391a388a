// The user's notifications as far as the page holds them: the newest, and how many are unread in all.

import type { Notice, NoticesAnswer } from "../contract.ts";

/** More than this nobody looks through in a small list. */
export const MOST_NOTICES = 50;

export class Notices {
  /** Newest first. */
  all: Notice[] = [];
  /** Of all of the user's, held or not. */
  unread = 0;

  /**
   * Adds a notification from the server. True if it is new: after a reconnect, some arrive again after the
   * list.
   */
  receive(notice: Notice): boolean {
    if (this.all.some(({ id }) => id === notice.id)) return false;
    this.all = [notice, ...this.all].sort((a, b) => b.at - a.at).slice(0, MOST_NOTICES);
    if (notice.readAt === undefined) this.unread += 1;
    return true;
  }

  /** Takes the newest page. What came live while it was on its way stands before it. */
  listed({ notifications, unread }: NoticesAnswer): void {
    const newest = notifications[0]?.at ?? 0;
    const later = this.all.filter(
      (notice) => notice.at >= newest && !notifications.some(({ id }) => id === notice.id),
    );
    this.all = [...later, ...notifications].slice(0, MOST_NOTICES);
    this.unread = unread + later.filter(({ readAt }) => readAt === undefined).length;
  }

  /** One, or all, were read; `unread` is what the server counts now. */
  read(which: { id: string } | { all: true }, unread: number, now: number): void {
    this.all = this.all.map((notice) =>
      notice.readAt === undefined && ("all" in which || notice.id === which.id)
        ? { ...notice, readAt: now }
        : notice,
    );
    this.unread = unread;
  }
}
