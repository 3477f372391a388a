// A room's messages as the rows of a page: day lines, the line "new", messages grouped under one name.

import type { Message } from "../contract.ts";
import type { Pending } from "../state/outbox.ts";
import { sameDay } from "./times.ts";

/** Messages of one user within this time stand under one name. */
const GROUP_MS = 5 * 60_000;

export type Row =
  | { kind: "day"; key: string; at: number }
  | { kind: "new"; key: string; missed: number }
  | { kind: "message"; key: string; heads: boolean; line: Line };

/** A message, arrived or pending, as one line of the list. */
export interface Line {
  seq?: number;
  userId: string;
  name?: string;
  text: string;
  at: number;
  own: boolean;
  state: "sending" | "sent" | "failed";
  clientId?: string;
  reason?: string;
  /** Whom a pending one mentions. */
  mentions?: string[];
  /** As the room has it; none while it is pending. */
  message?: Message;
}

/** `missed`: what the line "new" says of the time away, 0 for nothing. */
export function rows(
  messages: Message[],
  pending: Pending[],
  me: string,
  newAfter: number | undefined,
  missed = 0,
): Row[] {
  const found: Row[] = [];
  let previous: Line | undefined;
  let newShown = newAfter === undefined;
  for (const [key, line] of lines(messages, pending, me)) {
    let heads = !previous || previous.userId !== line.userId || line.at - previous.at > GROUP_MS;
    if (!previous || !sameDay(previous.at, line.at)) {
      found.push({ kind: "day", key: `day-${new Date(line.at).toDateString()}`, at: line.at });
      heads = true;
    }
    if (!newShown && newAfter !== undefined && line.seq !== undefined && line.seq > newAfter) {
      newShown = true;
      if (!line.own) {
        found.push({ kind: "new", key: "new", missed });
        heads = true;
      }
    }
    found.push({ kind: "message", key, heads, line });
    previous = line;
  }
  return found;
}

function* lines(messages: Message[], pending: Pending[], me: string): Generator<[string, Line]> {
  for (const message of messages) {
    const { seq, userId, name, text, at, clientId } = message;
    const own = userId === me;
    const line: Line = { seq, userId, text, at, own, state: "sent", message };
    if (name !== undefined) line.name = name;
    // An own message keeps the key it had while pending, so that its element stays where it is.
    yield [own && clientId ? `own-${clientId}` : `seq-${seq}`, line];
  }
  for (const entry of pending) {
    const { clientId, text, at, state, seq, reason, mentions } = entry;
    const line: Line = { userId: me, text, at, own: true, state, clientId };
    if (seq !== undefined) line.seq = seq;
    if (reason !== undefined) line.reason = reason;
    if (mentions !== undefined) line.mentions = mentions;
    yield [`own-${clientId}`, line];
  }
}
