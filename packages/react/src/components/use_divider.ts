// Where the line "new messages" stands: after what the user had read, or had seen before being away.

import type { RoomSnapshot } from "@roomful/client";
import { useEffect, useRef, useState } from "react";

import { justWritten, newestSeq } from "../text/latest.ts";

export interface Divider {
  /** The line stands above the first message of others after this seq. */
  readonly after: number;
  /** The messages missed while the connection was away; undefined if the user was not away. */
  readonly missed?: number;
}

export function useDivider(
  snapshot: RoomSnapshot,
  me: string | undefined,
  visible: boolean,
): Divider | undefined {
  const { messages, joined, readSeq, unread } = snapshot;
  const [divider, setDivider] = useState<Divider>();
  /** The newest seq when the connection was lost or the page hidden. */
  const left = useRef<{ seq: number; away: boolean }>(undefined);
  const entered = useRef(false);
  const newest = newestSeq(messages);
  const written = justWritten(messages);
  const known = useRef<string>(undefined);

  useEffect(() => {
    if (joined && !entered.current) {
      entered.current = true;
      if (unread > 0 && readSeq > 0) setDivider({ after: readSeq });
    }
    if (!entered.current) return;
    if (!joined || !visible) left.current ??= { seq: newest, away: false };
    if (left.current && !joined) left.current = { ...left.current, away: true };
    if (!joined || !visible || !left.current) return;
    const { seq, away } = left.current;
    const missed = messages.filter((message) => message.seq > seq && message.userId !== me).length;
    left.current = undefined;
    if (missed > 0) setDivider({ after: seq, ...(away && { missed }) });
  }, [messages, joined, visible, readSeq, unread, newest, me]);

  // A user who writes has seen the new messages, unless they wrote before they came back.
  useEffect(() => {
    if (written === undefined || written === known.current) return;
    known.current = written;
    if (joined) setDivider(undefined);
  }, [written, joined]);
  return divider;
}
