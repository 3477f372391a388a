// The messages of a room that wait in the outbox, as the app sees them.

import type { Message } from "./contract.ts";
import type { Outbox, Pending } from "./outbox.ts";
import type { RoomOptions } from "./room_options.ts";
import type { RoomMessage } from "./room_snapshot.ts";

/** What the app sees of a pending message keeps its identity between changes. */
const shown = new WeakMap<Pending, RoomMessage>();

/** The room's pending messages that are not among these yet: a message may arrive before its ack. */
export function unsentBeside(
  messages: readonly Message[],
  { name, outbox, userId }: RoomOptions,
): readonly RoomMessage[] {
  const pending = outbox.of(name);
  if (pending.length === 0) return [];
  const me = userId();
  const missing = new Map(pending.map((one) => [one.clientId, one]));
  for (const { userId, clientId = "" } of messages) if (userId === me) missing.delete(clientId);
  return [...missing.values()].map((one) => asUnsent(one, outbox, me));
}

function asUnsent(pending: Pending, outbox: Outbox, me = ""): RoomMessage {
  const known = shown.get(pending);
  if (known?.userId === me) return known;
  const { clientId, room, draft, at, error } = pending;
  const base = { ...draft, id: clientId, room, seq: 0, userId: me, at, clientId };
  const message: RoomMessage = error
    ? {
        ...base,
        state: "failed",
        error,
        retry: () => outbox.retry(clientId),
        discard: () => outbox.discard(clientId),
      }
    : { ...base, state: "sending" };
  shown.set(pending, message);
  return message;
}
