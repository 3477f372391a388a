// The user's rooms: the one with the latest message first, with its text, its time and the unread count.

import type { InboxRow } from "@roomful/client";
import { useMemo, type MouseEvent } from "react";

import { useBlocks, useInbox, useUserId } from "../hooks.ts";
import { useLocale, useTexts } from "../provider.tsx";
import { shortCount } from "../text/counts.ts";
import { plainText } from "../text/markdown.tsx";
import { shortTime } from "../text/times.ts";
import { Avatar } from "./avatar.tsx";
import { Removals } from "./removals.tsx";

/** Props of `RoomList`. */
export interface RoomListProps {
  /** The open room. */
  readonly current?: string | undefined;
  /** Called with the room that the user opens. */
  readonly onOpen?: (room: string) => void;
  /** The address of a room, for links that open in a new tab. Default: `#room`. */
  readonly href?: (room: string) => string;
  /** The title of a room. Default: its name. */
  readonly title?: (room: string) => string;
}

/** The user's rooms, the one with the latest message first. */
export function RoomList({ current, onOpen, href = hash, title = same }: RoomListProps) {
  const texts = useTexts();
  const [{ rooms, loading }] = useInbox();
  return (
    <nav className="rf-rooms-list" aria-label={texts.rooms}>
      <Removals title={title} />
      {rooms.length === 0 && !loading && <p className="rf-no-rooms">{texts.noRooms}</p>}
      <ul data-testid="room-list">
        {rooms.map((row) => (
          <Line
            key={row.room}
            row={row}
            title={title(row.room)}
            href={href(row.room)}
            open={row.room === current}
            onOpen={onOpen}
          />
        ))}
      </ul>
    </nav>
  );
}

const hash = (room: string): string => `#${encodeURIComponent(room)}`;
const same = (room: string): string => room;

interface LineProps {
  readonly row: InboxRow;
  readonly title: string;
  readonly href: string;
  readonly open: boolean;
  readonly onOpen: ((room: string) => void) | undefined;
}

function Line({ row, title, href, open, onOpen }: LineProps) {
  const texts = useTexts();
  const locale = useLocale();
  const me = useUserId();
  const blocks = useBlocks();
  const { room, lastMessage, unread, mentions } = row;
  const author =
    lastMessage && lastMessage.userId !== me ? (lastMessage.name ?? lastMessage.userId) : texts.you;
  // The inbox keeps the messages of the rooms that have not changed.
  const preview = useMemo(() => lastMessage && plainText(lastMessage.text), [lastMessage]);
  const click = (event: MouseEvent) => {
    // A click with a modifier opens a new tab or window.
    if (!onOpen || event.metaKey || event.ctrlKey || event.shiftKey) return;
    event.preventDefault();
    onOpen(room);
  };
  return (
    <li data-testid="room-item" data-room={room} data-open={open} data-unread={unread > 0}>
      <a className="rf-room" href={href} aria-current={open ? "page" : undefined} onClick={click}>
        <Avatar userId={room} name={title} />
        <span className="rf-room-text">
          <span className="rf-room-top">
            <bdi className="rf-room-title">{title}</bdi>
            {lastMessage && (
              <span className="rf-time">{shortTime(lastMessage.at, Date.now(), locale)}</span>
            )}
          </span>
          <span className="rf-room-bottom">
            <span className="rf-room-last" dir="auto">
              {lastMessage &&
                (lastMessage.deleted
                  ? texts.deleted
                  : blocks.has(lastMessage.userId)
                    ? texts.blockedMessage
                    : `${author}: ${preview}`)}
            </span>
            {unread > 0 && !open && (
              <>
                <span className="rf-badges" aria-hidden="true">
                  {mentions > 0 && (
                    <span className="rf-badge" data-testid="mention-badge">
                      @
                    </span>
                  )}
                  <span className="rf-badge" data-testid="unread-badge">
                    {shortCount(unread)}
                  </span>
                </span>
                <span className="rf-hidden">{texts.unread(unread, mentions)}</span>
              </>
            )}
          </span>
        </span>
      </a>
    </li>
  );
}
