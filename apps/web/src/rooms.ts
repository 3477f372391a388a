// Names of rooms: the one in the address, and those that users type.

/** The room of a user who opens the page for the first time. */
export const FIRST_ROOM = "lobby";
export const LONGEST_NAME = 64;

/** The room that the address names, or an empty string. Rooms made elsewhere may have any name. */
export function addressed(hash: string): string {
  try {
    return decodeURIComponent(hash.slice(1)).trim().slice(0, LONGEST_NAME);
  } catch {
    return "";
  }
}

export const addressOf = (room: string): string => `#${encodeURIComponent(room)}`;

/** A typed name, made fit for a room: no leading `#`, no blanks. Empty if nothing is left. */
export function roomName(typed: string): string {
  return typed.trim().replace(/^#+/, "").trim().replace(/\s+/g, "-").slice(0, LONGEST_NAME);
}
