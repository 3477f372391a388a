// What a list shows beside messages: a refusal, an empty room, and the line above the first message.

import type { Failure, Sanction } from "@roomful/client";

import { useLocale, useTexts } from "../provider.tsx";
import { endTime } from "../text/times.ts";
import { Icon } from "./icon.tsx";

export interface PlaceholderProps {
  readonly room: string;
  readonly empty: boolean;
  readonly joined: boolean;
  /** Why the room cannot be joined. */
  readonly error: Failure | undefined;
  /** The user's ban, if its end and reason are known. */
  readonly banned: Sanction | undefined;
}

/** The refusal of a room, or a note that it has no messages. */
export function Placeholder({ room, empty, joined, error, banned }: PlaceholderProps) {
  const texts = useTexts();
  const locale = useLocale();
  if (error) {
    const until = endTime(banned?.until, Date.now(), locale);
    return (
      <p className="rf-refused" data-testid="refused" role="alert">
        <Icon name="lock" />
        <span dir="auto">
          {error.code === "banned"
            ? texts.bannedFrom(room, until, banned?.reason)
            : texts.roomRefused(error.message)}
        </span>
      </p>
    );
  }
  if (!empty) return null;
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
  readonly hasOlder: boolean;
  /** True if the messages come from the cache. */
  readonly stale: boolean;
  readonly older: { readonly failed: boolean; readonly retry: () => void };
}

/** The line above the first message: the start of the room, or older messages that load. */
export function Edge({ hasOlder, stale, older }: EdgeProps) {
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
