// For each message, the names of the others whose read mark stands at it.

import type { RoomSnapshot } from "@roomful/client";
import { useMemo } from "react";

import type { Names } from "../text/names.ts";

/** Marks beyond this many messages from the newest one are not shown. */
const SEARCHED = 200;

export function useReaders(
  { members, messages }: RoomSnapshot,
  me: string | undefined,
  names: Names,
): ReadonlyMap<number, readonly string[]> {
  return useMemo(() => {
    const readers = new Map<number, string[]>();
    const newest = messages.slice(-SEARCHED).filter(({ state }) => state === "sent");
    for (const { userId, readSeq = 0 } of members) {
      if (userId === me || readSeq === 0) continue;
      // A mark may stand at a change: it shows at the message before. A user's own message needs none.
      const at = newest.findLast(({ seq }) => seq <= readSeq);
      if (!at || at.userId === userId) continue;
      readers.set(at.seq, [...(readers.get(at.seq) ?? []), names(userId)]);
    }
    return readers;
  }, [members, messages, me, names]);
}
