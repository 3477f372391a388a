// Fetches the parts of a room's log that the page does not hold. One page at a time per room.

import type { Clock } from "../clock.ts";
import { failureOf, type HistoryAnswer, type Request } from "../contract.ts";
import type { Room } from "../state/room.ts";

const PAGE = 60;
/** After a failure scrolling asks again only when this time has passed. */
const COOL_DOWN_MS = 2_000;

export interface HistoryParts {
  request: Request;
  clock: Clock;
  changed: () => void;
}

export class History {
  private readonly loading = new Map<Room, "older" | "newer" | "latest">();
  private readonly notBefore = new WeakMap<Room, number>();

  constructor(private readonly parts: HistoryParts) {}

  state(room: Room): "older" | "newer" | "latest" | undefined {
    return this.loading.get(room);
  }

  older(room: Room): Promise<void> {
    const { start: before, hasOlder } = room.timeline;
    if (before === 0 || !hasOlder) return Promise.resolve();
    return this.load(room, "older", { before }, (page) => room.timeline.addOlder(page));
  }

  newer(room: Room): Promise<void> {
    const { end: after, hasNewer } = room.timeline;
    if (!hasNewer) return Promise.resolve();
    if (after === 0) return this.latest(room);
    return this.load(room, "newer", { after }, (page) => room.timeline.addNewer(page));
  }

  /** Drops what is held for the newest page. */
  latest(room: Room): Promise<void> {
    return this.load(room, "latest", {}, (page) => {
      const { timeline } = room;
      timeline.replace(page);
      room.note(timeline.last);
      // Messages that arrived during the request, and did not fit, follow after this page.
      timeline.hasNewer = timeline.end > 0 && timeline.end < timeline.head;
    });
  }

  private async load(
    room: Room,
    what: "older" | "newer" | "latest",
    range: { before?: number; after?: number },
    take: (page: HistoryAnswer) => void,
  ): Promise<void> {
    const { request, clock, changed } = this.parts;
    if (this.loading.has(room) || room.phase !== "joined" || clock.now() < (this.notBefore.get(room) ?? 0))
      return;
    this.loading.set(room, what);
    changed();
    try {
      take(await request("chat:get_history", { room: room.name, ...range, limit: PAGE }));
    } catch (thrown) {
      this.notBefore.set(room, clock.now() + (failureOf(thrown).retryAfterMs ?? COOL_DOWN_MS));
      clock.after(COOL_DOWN_MS, changed);
    }
    this.loading.delete(room);
    changed();
  }
}
