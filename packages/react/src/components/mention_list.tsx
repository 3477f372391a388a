// The names that the composer offers for a mention.

import { useEffect, useRef } from "react";

import { useTexts } from "../provider.tsx";
import { Avatar } from "./avatar.tsx";
import type { Mentions } from "./use_mentions.ts";

export function MentionList({ mentions }: { mentions: Mentions }) {
  const texts = useTexts();
  const { id, offered, marked, take } = mentions;
  const list = useRef<HTMLUListElement>(null);
  useEffect(() => {
    // Newer browsers return a promise here, which an effect must not return.
    void list.current?.children[marked]?.scrollIntoView({ block: "nearest" });
  }, [marked]);
  return (
    <div className="rf-mention-box">
      {offered.length > 0 && (
        <ul
          ref={list}
          id={`${id}list`}
          className="rf-mention-list"
          data-testid="mention-list"
          role="listbox"
          aria-label={texts.mention}
        >
          {offered.map((person, at) => (
            <li
              key={person.userId}
              id={`${id}${at}`}
              className="rf-mention-option"
              data-testid="mention-option"
              data-user={person.userId}
              role="option"
              aria-selected={at === marked}
              // The field keeps the focus.
              onPointerDown={(event) => event.preventDefault()}
              onClick={() => take(person)}
            >
              <Avatar userId={person.userId} name={person.name} src={person.avatar} status={person.status} />
              <bdi>{person.name}</bdi>
            </li>
          ))}
        </ul>
      )}
      <span className="rf-hidden" role="status">
        {offered.length > 0 ? texts.mentionCount(offered.length) : ""}
      </span>
    </div>
  );
}
