// What a list shows beside messages: a refusal, an empty room, and the line above the first message.

import type { RoomSnapshot } from "@roomful/client";

import { useTexts } from "../provider.tsx";
import { Icon } from "./icon.tsx";

/** The refusal of a room, or a note that it has no messages. */
export function Placeholder({ messages, joined, error }: RoomSnapshot) {
  const texts = useTexts();
  if (error)
    return (
      <p className="rf-refused" role="alert">
        <Icon name="lock" /> {texts.roomRefused(error.message)}
      </p>
    );
  if (messages.length > 0) return null;
  return (
    <div className="rf-empty" data-testid="empty">
      {joined ? (
        <>
          <Icon name="chat" />
          <p className="rf-empty-title">{texts.noMessages}</p>
          <p>{texts.noMessagesHint}</p>
        </>
      ) : (
        <p>{texts.loadingMessages}</p>
      )}
    </div>
  );
}

export interface EdgeProps {
  readonly snapshot: RoomSnapshot;
  readonly older: { readonly failed: boolean; readonly retry: () => void };
}

/** The line above the first message: the start of the room, or older messages that load. */
export function Edge({ snapshot: { hasOlder, stale }, older }: EdgeProps) {
  const texts = useTexts();
  const text = !hasOlder ? texts.startOfRoom : stale ? texts.cached : texts.loadingMessages;
  return (
    <div className="rf-edge" data-testid="history-edge" role="presentation">
      {older.failed ? (
        <>
          {texts.olderFailed}{" "}
          <button type="button" className="rf-link" onClick={older.retry}>
            {texts.tryAgain}
          </button>
        </>
      ) : (
        text
      )}
    </div>
  );
}
