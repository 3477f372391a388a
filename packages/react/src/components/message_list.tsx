// The messages of a room: virtualised, and steady when messages come in at either end.

import { useVirtualizer } from "@tanstack/react-virtual";
import type { RoomMessage } from "@roomful/client";
import { useCallback, useEffect, useMemo, useRef, useState, type ReactNode } from "react";

import { useNames, useRoom, useUserId } from "../hooks.ts";
import { useTexts } from "../provider.tsx";
import { justWritten, newestSeq } from "../text/latest.ts";
import { Announcer } from "./announcer.tsx";
import { Icon } from "./icon.tsx";
import { Edge, Placeholder } from "./list_states.tsx";
import { Message, type MessageProps } from "./message.tsx";
import { Row } from "./row.tsx";
import { useDivider } from "./use_divider.ts";
import { useFocusedRow } from "./use_focused_row.ts";
import { useBrowserLayoutEffect } from "./use_layout_effect.ts";
import { useOlder } from "./use_older.ts";
import { useReaders } from "./use_readers.ts";
import { useVisible } from "./use_visible.ts";

/** The height of a row before it is measured, in pixels. */
const ROW = 60;
/** Within this distance in pixels, the list counts as scrolled to its end, and follows new messages. */
const END = 60;
/** Milliseconds for which a message that was jumped to is marked. */
const MARKED = 2_000;

/** Props of `MessageList`. */
export interface MessageListProps {
  readonly room: string;
  /** Replaces `Message`. */
  readonly renderMessage?: (props: MessageProps) => ReactNode;
  /** The emojis that a message's toolbar offers. */
  readonly emojis?: readonly string[];
}

/** The messages of a room. It joins the room, marks messages as read, and loads older ones. */
export function MessageList(props: MessageListProps) {
  return <Messages key={props.room} {...props} />;
}

function Messages({ room: name, renderMessage, emojis }: MessageListProps) {
  const texts = useTexts();
  const me = useUserId();
  const [snapshot, room] = useRoom(name);
  const { messages, members, role, joined, loading, hasOlder, stale, error } = snapshot;
  const byId = useMemo(() => new Map(members.map((member) => [member.userId, member])), [members]);
  const names = useNames(snapshot);
  const readers = useReaders(snapshot, me, names);
  const visible = useVisible();
  const divider = useDivider(snapshot, me, visible);
  const scroller = useRef<HTMLDivElement>(null);
  const [atEnd, setAtEnd] = useState(true);
  const [marked, setMarked] = useState<number>();

  const keyAt = useCallback((at: number) => keyOf(messages[at], me), [messages, me]);
  const focus = useFocusedRow(scroller, { count: messages.length, at: keyAt });
  const virtualizer = useVirtualizer({
    count: messages.length,
    getScrollElement: () => scroller.current,
    estimateSize: () => ROW,
    getItemKey: keyAt,
    rangeExtractor: focus.rangeExtractor,
    overscan: 6,
    anchorTo: "end",
    followOnAppend: true,
    scrollEndThreshold: END,
    initialRect: { width: 0, height: 720 },
    initialOffset: () => messages.length * ROW,
  });
  const rows = virtualizer.getVirtualItems();
  const older = useOlder(room, snapshot, rows[0]?.index);

  const any = messages.length > 0;
  const awaited = !joined && error === undefined;
  useBrowserLayoutEffect(() => {
    if (any) virtualizer.scrollToEnd();
  }, [any, virtualizer]);
  // The user's own new message is always shown.
  const written = justWritten(messages);
  useEffect(() => {
    if (written !== undefined) virtualizer.scrollToEnd();
  }, [written, virtualizer]);
  useEffect(() => {
    if (joined && atEnd && visible) room.markRead();
  }, [room, joined, atEnd, visible, messages]);

  const seenSeq = useRef(0);
  const newest = newestSeq(messages);
  if (atEnd) seenSeq.current = newest;
  const unseen = atEnd ? 0 : countAfter(messages, seenSeq.current, me);

  const jump = useCallback(
    (seq: number) => {
      void room
        .jumpTo(seq)
        .then(() => {
          const at = room.getSnapshot().messages.findIndex((message) => message.seq === seq);
          if (at < 0) return;
          virtualizer.scrollToIndex(at, { align: "center" });
          setMarked(seq);
          setTimeout(() => setMarked(undefined), MARKED);
        })
        .catch(() => undefined);
    },
    [room, virtualizer],
  );
  const show = renderMessage ?? ((props: MessageProps) => <Message {...props} />);
  return (
    <div className="rf-messages" data-testid="message-list">
      <Placeholder
        room={name}
        empty={!any}
        joined={joined}
        error={error}
        banned={snapshot.restrictions.banned}
      />
      <div
        ref={scroller}
        className="rf-scroller"
        data-testid="scroller"
        // A feed without entries has to be busy.
        {...((any || awaited) && { role: "feed", "aria-label": texts.messagesIn(name) })}
        aria-busy={loading || (awaited && !any)}
        tabIndex={any ? -1 : undefined}
        onScroll={({ currentTarget: { scrollHeight, scrollTop, clientHeight } }) =>
          setAtEnd(scrollHeight - scrollTop - clientHeight < END)
        }
        onKeyDown={(event) => {
          const index = focus.move(event);
          if (index !== undefined) virtualizer.scrollToIndex(index, { align: "auto" });
        }}
        onFocus={focus.onFocus}
      >
        {any && <Edge hasOlder={hasOlder} stale={stale} older={older} />}
        <div className="rf-rows" role="presentation" style={{ height: virtualizer.getTotalSize() }}>
          {rows.map(({ index, key, start }) => {
            const message = messages[index];
            if (!message) return null;
            return (
              <Row
                key={key}
                measure={virtualizer.measureElement}
                index={index}
                count={hasOlder ? -1 : messages.length}
                start={start}
                message={message}
                previous={messages[index - 1]}
                divider={divider}
                me={me}
                marked={marked === message.seq && message.state === "sent"}
              >
                {(heads) =>
                  show({
                    room,
                    message,
                    me,
                    role,
                    authorRole: byId.get(message.userId)?.role,
                    authorSanctions: snapshot.sanctions.get(message.userId),
                    names,
                    avatar: byId.get(message.userId)?.avatar,
                    heads,
                    quoted: message.replyTo === undefined ? undefined : bySeq(messages, message.replyTo),
                    readBy: readers.get(message.seq) ?? NOBODY,
                    onJump: jump,
                    ...(emojis && { emojis }),
                  })
                }
              </Row>
            );
          })}
        </div>
      </div>
      {!atEnd && (
        <button
          type="button"
          className="rf-jump"
          data-testid="jump-latest"
          onClick={() => virtualizer.scrollToEnd()}
        >
          <Icon name="down" /> {texts.jumpToLatest(unseen)}
        </button>
      )}
      <Announcer room={room} me={me} names={names} />
    </div>
  );
}

const NOBODY: readonly string[] = [];

/** A message of the user keeps its key when it is sent, so that its element stays. */
function keyOf(message: RoomMessage | undefined, me: string | undefined): string {
  if (!message) return "";
  const own = message.state !== "sent" || message.userId === me;
  return own && message.clientId !== undefined ? `own ${message.clientId}` : message.id;
}

/** The message with this seq, by binary search. Messages without a seq come last. */
function bySeq(messages: readonly RoomMessage[], seq: number): RoomMessage | undefined {
  let [low, high] = [0, messages.length - 1];
  while (low <= high) {
    const middle = (low + high) >> 1;
    const message = messages[middle];
    if (message?.state === "sent" && message.seq === seq) return message;
    if (message?.state === "sent" && message.seq < seq) low = middle + 1;
    else high = middle - 1;
  }
  return undefined;
}

function countAfter(messages: readonly RoomMessage[], seq: number, me: string | undefined): number {
  let count = 0;
  for (let at = messages.length - 1; at >= 0; at -= 1) {
    const message = messages[at];
    if (message?.state === "sent" && message.seq <= seq) break;
    if (message?.state === "sent" && message.userId !== me) count += 1;
  }
  return count;
}
