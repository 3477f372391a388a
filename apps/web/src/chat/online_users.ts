// Online users of the rooms and their statuses: fetched for the open room, updated by the server's events.

import type { Clock } from "../clock.ts";
import type { Choice, Request } from "../contract.ts";
import type { People } from "../state/people.ts";
import type { Room } from "../state/room.ts";
import type { Rooms } from "../state/rooms.ts";

/** Users come and go in bursts; the page requests the list once per burst. */
const BURST_MS = 400;

export interface RosterParts {
  rooms: Rooms;
  people: People;
  request: Request;
  clock: Clock;
  changed: () => void;
}

export class OnlineUsers {
  private readonly due = new Set<Room>();

  constructor(private readonly parts: RosterParts) {}

  /** Somebody came, to one room or altogether. */
  came(only?: string): void {
    const { open } = this.parts.rooms;
    if (open && (only === undefined || open.name === only)) this.refresh(open);
    this.parts.changed();
  }

  /** Somebody went, from one room or altogether. */
  went(userId: string, only?: string): void {
    for (const room of this.parts.rooms.all) {
      if (only !== undefined && room.name !== only) continue;
      room.online.delete(userId);
      room.typing.stop(userId);
    }
    this.parts.changed();
  }

  /** Somebody shows as something else; the invisible are in nobody's list, their own included. */
  showsAs(userId: string, choice: Choice): void {
    if (choice.status === "invisible") return this.went(userId);
    const { all, open } = this.parts.rooms;
    for (const room of all) if (!room.shows(userId, choice) && room === open) this.refresh(room);
    this.parts.changed();
  }

  refresh(room: Room): void {
    if (this.due.has(room)) return;
    this.due.add(room);
    this.parts.clock.after(room.online.size === 0 ? 0 : BURST_MS, () => void this.load(room));
  }

  private async load(room: Room): Promise<void> {
    this.due.delete(room);
    try {
      const { users } = await this.parts.request("chat:get_online_users", { room: room.name });
      room.online = new Map(users.map((user) => [user.userId, user]));
      for (const user of users) this.parts.people.learn(user.userId, user.name);
      this.parts.changed();
    } catch {
      // The list stays as it was; the next change of presence asks again.
    }
  }
}
