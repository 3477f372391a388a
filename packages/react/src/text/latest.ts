// The line at the end of a list of messages.

import type { RoomMessage } from "@roomful/client";

/** The newest seq, or 0. */
export function newestSeq(messages: readonly RoomMessage[]): number {
  return messages.findLast(({ state }) => state === "sent")?.seq ?? 0;
}

/** The clientId of the last message, if it is being sent. */
export function justWritten(messages: readonly RoomMessage[]): string | undefined {
  const last = messages.at(-1);
  return last?.state === "sending" ? last.clientId : undefined;
}
