// A whole room: connection banner, messages, typing and composer.

import { Composer } from "./composer.tsx";
import { ConnectionBanner } from "./connection_banner.tsx";
import { MessageList, type MessageListProps } from "./message_list.tsx";
import { TypingIndicator } from "./typing_indicator.tsx";

/** Props of `Chat`. */
export interface ChatProps extends MessageListProps {
  readonly placeholder?: string;
  /** Whether the composer takes the focus when the room opens. Default: false. */
  readonly autoFocus?: boolean;
}

/** A whole room. It fills its parent, which needs a height. */
export function Chat({ placeholder, autoFocus = false, ...list }: ChatProps) {
  return (
    <section className="rf-chat" aria-label={list.room}>
      <ConnectionBanner />
      <MessageList {...list} />
      <TypingIndicator room={list.room} />
      <Composer
        room={list.room}
        autoFocus={autoFocus}
        {...(placeholder !== undefined && { placeholder })}
      />
    </section>
  );
}
