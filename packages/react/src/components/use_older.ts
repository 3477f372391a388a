// Loads older messages while the user is near the first one. After a failure it waits for the user.

import type { Room, RoomSnapshot } from "@roomful/client";
import { useCallback, useEffect, useState } from "react";

/** Older messages load when this many rows or fewer are above the view. */
const NEAR = 12;

export function useOlder(
  room: Room,
  { messages, hasOlder, joined, loading }: RoomSnapshot,
  firstShown: number | undefined,
): { failed: boolean; retry: () => void } {
  const [failed, setFailed] = useState(false);
  const near = firstShown !== undefined && firstShown <= NEAR;
  useEffect(() => {
    if (near && hasOlder && joined && !loading && !failed) room.loadOlder().catch(() => setFailed(true));
  }, [room, near, hasOlder, joined, loading, failed, messages]);
  useEffect(() => setFailed(false), [joined]);
  const retry = useCallback(() => setFailed(false), []);
  return { failed, retry };
}
