// A row of the list: a message, and above it the line of its day and the line "new messages".

import type { RoomMessage } from "@roomful/client";
import type { ReactNode } from "react";

import { useLocale, useTexts } from "../provider.tsx";
import { day, sameDay } from "../text/times.ts";
import type { Divider } from "./use_divider.ts";

/** Messages of one author within this time stand under one name, in milliseconds. */
const GROUP = 5 * 60_000;

export interface RowProps {
  readonly measure: (element: Element | null) => void;
  readonly index: number;
  /** The number of messages, or -1 if it is unknown. */
  readonly count: number;
  /** Pixels from the top of the list. */
  readonly start: number;
  readonly message: RoomMessage;
  readonly previous: RoomMessage | undefined;
  readonly divider: Divider | undefined;
  readonly me: string | undefined;
  readonly marked: boolean;
  readonly children: (heads: boolean) => ReactNode;
}

export function Row(props: RowProps) {
  const { measure, index, count, start, message, previous, divider, me, marked, children } = props;
  const texts = useTexts();
  const locale = useLocale();
  const newDay = !previous || !sameDay(previous.at, message.at);
  const shown =
    divider !== undefined &&
    message.state === "sent" &&
    message.userId !== me &&
    message.seq > divider.after &&
    (!previous || previous.seq <= divider.after);
  const heads =
    newDay ||
    shown ||
    previous.userId !== message.userId ||
    message.at - previous.at > GROUP ||
    message.replyTo !== undefined;
  return (
    <div
      ref={measure}
      className="rf-item"
      data-index={index}
      data-marked={marked}
      role="article"
      aria-posinset={count < 0 ? undefined : index + 1}
      aria-setsize={count < 0 ? undefined : count}
      tabIndex={0}
      style={{ transform: `translateY(${start}px)` }}
    >
      {newDay && (
        <div className="rf-line">
          <span>{day(message.at, Date.now(), texts, locale)}</span>
        </div>
      )}
      {shown && (
        <div className="rf-line rf-new" data-testid="new-line">
          <span>{divider.missed === undefined ? texts.newMessages : texts.away(divider.missed)}</span>
        </div>
      )}
      {children(heads)}
    </div>
  );
}
