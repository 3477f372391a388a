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
