// The line with the names of typing users.

import { useTyping } from "../hooks.ts";
import { useTexts } from "../provider.tsx";

/** The names of the others who are typing in a room. It joins the room. */
export function TypingIndicator({ room }: { room: string }) {
  const texts = useTexts();
  const [people] = useTyping(room);
  return (
    <div className="rf-typing" data-testid="typing" role="status">
      {people.length > 0 && (
        <>
          <span className="rf-dots" aria-hidden="true">
            <i />
            <i />
            <i />
          </span>
          {texts.typing(people.map(({ name }) => name))}
        </>
      )}
    </div>
  );
}
