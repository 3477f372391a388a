// The rooms on the user's list, in the order in which they were added, and which one is open.

import type { Shelf } from "../storage.ts";
import { Room } from "./room.ts";

export const FIRST_ROOM = "lobby";
/** Half of what the server allows a socket by default, so that other pages of the user have room too. */
export const MOST_ROOMS = 100;
export const LONGEST_NAME = 64;

export class Rooms {
  private readonly rooms = new Map<string, Room>();
  openName: string | undefined;

  constructor(
    private readonly shelf: Shelf,
    private readonly key: string,
  ) {
    const kept = shelf.read(key);
    const names = Array.isArray(kept)
      ? kept.filter((name): name is string => typeof name === "string")
      : [FIRST_ROOM];
    for (const name of names.slice(0, MOST_ROOMS)) this.rooms.set(name, new Room(name));
  }

  get all(): Room[] {
    return [...this.rooms.values()];
  }

  get open(): Room | undefined {
    return this.openName === undefined ? undefined : this.rooms.get(this.openName);
  }

  get unread(): number {
    return this.all.reduce((sum, room) => sum + room.unread, 0);
  }

  get(name: string): Room | undefined {
    return this.rooms.get(name);
  }

  /** The room of that name, added if need be; undefined when the list is full. */
  add(name: string): Room | undefined {
    const known = this.rooms.get(name);
    if (known) return known;
    if (this.rooms.size >= MOST_ROOMS) return undefined;
    const room = new Room(name);
    this.rooms.set(name, room);
    this.keep();
    return room;
  }

  /** Takes a room off the list; if it was open, its neighbour's name is returned. */
  remove(name: string): string | undefined {
    const names = [...this.rooms.keys()];
    const at = names.indexOf(name);
    if (at < 0) return this.openName;
    this.rooms.delete(name);
    this.keep();
    return this.openName === name ? (names[at + 1] ?? names[at - 1]) : this.openName;
  }

  private keep(): void {
    this.shelf.write(this.key, [...this.rooms.keys()]);
  }
}

/** A name as typed, made fit for a room: no leading `#`, no blanks. Empty if nothing is left. */
export function roomName(typed: string): string {
  return typed.trim().replace(/^#+/, "").trim().replace(/\s+/g, "-").slice(0, LONGEST_NAME);
}
