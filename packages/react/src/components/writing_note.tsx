// The line above the composer that says why the user may not write, or when they may write again.

import type { Restrictions, Role } from "@roomful/client";
import { useEffect, useState } from "react";

import { useLocale, useTexts } from "../provider.tsx";
import { endTime } from "../text/times.ts";
import { Icon } from "./icon.tsx";
import { moderates } from "./use_person_actions.tsx";

/** The part of a room's snapshot that says what the user may do. */
interface Bounds {
  readonly restrictions: Restrictions;
  readonly role?: Role | undefined;
}

export interface Writing {
  /** True if the user may not write at all for now. */
  readonly locked: boolean;
  /** Whole seconds until slow mode lets the user send. */
  readonly wait: number;
}

/** Whether the user may write in a room. */
export function useWriting({ restrictions, role }: Bounds): Writing {
  const { frozen, muted, waitUntil } = restrictions;
  const bound = !moderates(role);
  const wait = useSecondsUntil(bound ? waitUntil : undefined);
  return { locked: muted !== undefined || (frozen && bound), wait };
}

/** Says why the user may not write. Empty while they may. */
export function WritingNote({ restrictions, role, writing }: Bounds & { readonly writing: Writing }) {
  const texts = useTexts();
  const locale = useLocale();
  const { frozen, muted, slowMode } = restrictions;
  const bound = !moderates(role);
  const until = endTime(muted?.until, Date.now(), locale);
  const text = muted
    ? texts.youAreMuted(until, muted.reason)
    : frozen
      ? bound
        ? texts.frozen
        : texts.frozenForOthers
      : bound && slowMode > 0
        ? texts.slowModeIs(texts.span(slowMode))
        : undefined;
  return (
    <div className="rf-note-area">
      <div role="status">
        {text !== undefined && (
          <p className="rf-note" data-testid="writing-note">
            <Icon name={muted || frozen ? "lock" : "clock"} />
            <span dir="auto">{text}</span>
          </p>
        )}
      </div>
      {writing.wait > 0 && !writing.locked && (
        // A timer is not read out each second.
        <p className="rf-note" data-testid="slow-wait" role="timer">
          {texts.writeAgainIn(texts.span(writing.wait))}
        </p>
      )}
    </div>
  );
}

/** Whole seconds until a time of this device's clock; 0 once it is over. */
function useSecondsUntil(time: number | undefined): number {
  const [, tick] = useState(0);
  useEffect(() => {
    if (time === undefined) return undefined;
    const timer = setInterval(() => tick((count) => count + 1), 1_000);
    return () => clearInterval(timer);
  }, [time]);
  return time === undefined ? 0 : Math.max(0, Math.ceil((time - Date.now()) / 1_000));
}
