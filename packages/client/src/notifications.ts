// The user's notifications: the newest ones, and the number of unread ones.

import type { Notification, Request } from "./contract.ts";
import { ObservableStore } from "./store.ts";

/** Notifications in a page. */
const PAGE = 50;

/** The state of the notifications. */
export interface NotificationsSnapshot {
  /** Newest first. */
  readonly notifications: readonly Notification[];
  readonly unread: number;
  /** True if `loadOlder` can load more. */
  readonly hasOlder: boolean;
}

/** The user's notifications. */
export class Notifications extends ObservableStore<NotificationsSnapshot> {
  readonly #request: Request;
  /**
   * For each running load, the notifications that arrived since it began. Its page may be older than them.
   */
  readonly #arrived = new Set<Notification[]>();

  constructor(request: Request) {
    super({ notifications: [], unread: 0, hasOlder: false });
    this.#request = request;
  }

  /** Fetches the newest page. The client calls it on each new connection. @internal */
  async load(): Promise<void> {
    const arrived: Notification[] = [];
    this.#arrived.add(arrived);
    try {
      const { notifications, unread, more } = await this.#request("notification:list", { limit: PAGE });
      this.set({ notifications, unread, hasOlder: more });
      for (const notification of arrived) this.#add(notification);
    } finally {
      this.#arrived.delete(arrived);
    }
  }

  /** Adds a page of older notifications to the snapshot. */
  async loadOlder(): Promise<void> {
    const { notifications, hasOlder } = this.getSnapshot();
    const before = notifications.at(-1)?.id;
    if (!hasOlder || before === undefined) return;
    const page = await this.#request("notification:list", { limit: PAGE, before });
    this.patch({ notifications: [...notifications, ...page.notifications], hasOlder: page.more });
  }

  /** Marks one notification as read, or all of them. */
  async markRead(id?: string): Promise<void> {
    const { unread } = await this.#request("notification:read", id === undefined ? { all: true } : { id });
    const readAt = Date.now();
    const notifications = this.getSnapshot().notifications.map((known) =>
      known.readAt === undefined && (id === undefined || known.id === id) ? { ...known, readAt } : known,
    );
    this.patch({ notifications, unread });
  }

  /**
   * A live notification, or a missed one after a connect. True if it is new; a known one changes nothing.
   * @internal
   */
  received(notification: Notification): boolean {
    for (const arrived of this.#arrived) arrived.push(notification);
    return this.#add(notification);
  }

  /** Another device has read some: fetches the list again, since the event does not say which. @internal */
  counted(unread: number): void {
    this.patch({ unread });
    this.load().catch(() => undefined);
  }

  /** Adds a notification, unless it is known already. */
  #add(notification: Notification): boolean {
    const { notifications, unread } = this.getSnapshot();
    if (notifications.some(({ id }) => id === notification.id)) return false;
    const all = [notification, ...notifications].sort((a, b) => b.at - a.at);
    this.patch({ notifications: all, unread: unread + (notification.readAt === undefined ? 1 : 0) });
    return true;
  }
}
