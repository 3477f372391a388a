// Tells a screen reader about new messages. The list itself cannot: scrolling adds rows to it too.

import type { Room } from "@roomful/client";
import { useEffect, useRef, useState } from "react";

import { useBlocks, useStore } from "../hooks.ts";
import { useTexts } from "../provider.tsx";
import { newestSeq } from "../text/latest.ts";
import { plainText } from "../text/markdown.tsx";
import type { Names } from "../text/names.ts";

/** Announcements that stay in the page. */
const KEPT = 5;

export interface AnnouncerProps {
  /** Not its messages: development builds of React compare the props of each render, entry by entry. */
  readonly room: Room;
  readonly me: string | undefined;
  readonly names: Names;
}

export function Announcer({ room, me, names }: AnnouncerProps) {
  const texts = useTexts();
  const { messages, joined } = useStore(room);
  const blocks = useBlocks();
  const [said, setSaid] = useState<readonly { id: string; text: string }[]>([]);
  const heard = useRef<number>(undefined);
  useEffect(() => {
    const newest = newestSeq(messages);
    if (!joined) return;
    const since = heard.current;
    heard.current = newest;
    if (since === undefined || newest <= since) return;
    const fresh = messages
      .slice(-KEPT)
      .filter(
        ({ seq, userId, deleted }) => seq > since && userId !== me && !deleted && !blocks.has(userId),
      );
    setSaid((before) =>
      [
        ...before,
        ...fresh.map(({ id, userId, name, text }) => ({
          id,
          text: texts.announce(name ?? names(userId), plainText(text)),
        })),
      ].slice(-KEPT),
    );
  }, [messages, joined, me, names, texts, blocks]);
  return (
    <div className="rf-hidden" role="log" aria-live="polite">
      {said.map(({ id, text }) => (
        <p key={id}>{text}</p>
      ))}
    </div>
  );
}
