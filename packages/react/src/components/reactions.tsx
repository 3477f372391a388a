// The reactions below a message: a button for each emoji, pressed if the user has reacted with it.

import type { Reaction } from "@roomful/client";

import { useTexts } from "../provider.tsx";
import type { Names } from "../text/names.ts";

export interface ReactionsProps {
  readonly reactions: readonly Reaction[];
  readonly me: string | undefined;
  readonly names: Names;
  readonly onReact: (emoji: string, on: boolean) => void;
}

export function Reactions({ reactions, me, names, onReact }: ReactionsProps) {
  const texts = useTexts();
  if (reactions.length === 0) return null;
  return (
    <div className="rf-reactions" data-testid="reactions">
      {reactions.map(({ emoji, userIds, count, mine = false }) => {
        const others = userIds.filter((userId) => userId !== me).map(names);
        const label = texts.reaction(emoji, count, mine ? [texts.you, ...others] : others);
        return (
          <button
            key={emoji}
            type="button"
            className="rf-reaction"
            data-testid="reaction"
            data-emoji={emoji}
            aria-pressed={mine}
            aria-label={label}
            title={label}
            onClick={() => onReact(emoji, !mine)}
          >
            <span aria-hidden="true">{emoji}</span> {count}
          </button>
        );
      })}
    </div>
  );
}
