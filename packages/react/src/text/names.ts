// Names of users by id, as far as a room knows them.

import type { Member, RoomMessage } from "@roomful/client";

/** Gives the name of a user, or the id if the name is unknown. */
export type Names = (userId: string) => string;

/** Messages that are searched for names of users who are no listed members. */
const SEARCHED = 200;

/** The known names with their ids, by id. */
export function knownNames(
  members: readonly Member[],
  messages: readonly RoomMessage[],
): [userId: string, name: string][] {
  const known = new Map<string, string>();
  for (const { userId, name } of messages.slice(-SEARCHED)) if (name) known.set(userId, name);
  for (const { userId, name } of members) if (name) known.set(userId, name);
  return [...known].sort(([a], [b]) => (a < b ? -1 : 1));
}

export function namesIn(known: readonly (readonly [userId: string, name: string])[]): Names {
  const names = new Map(known);
  return (userId) => names.get(userId) ?? userId;
}

/** Initials of a name, for a face without a picture. */
export function initials(name: string): string {
  const words = name
    .trim()
    .split(/[\s._-]+/)
    .filter((word) => word !== "");
  const chosen = words.length > 1 ? [words[0], words.at(-1)] : words;
  return (
    chosen
      .map((word) => [...(word ?? "")][0] ?? "")
      .join("")
      .toUpperCase() || "?"
  );
}

/** Colours that the style sheet defines as `data-hue`. */
const HUES = 10;

/** A number from 0 to 9 that is always the same for the same user. */
export function hue(userId: string): number {
  let hash = 2166136261;
  for (const char of userId) hash = Math.imul(hash ^ (char.codePointAt(0) ?? 0), 16777619);
  return (hash >>> 0) % HUES;
}
