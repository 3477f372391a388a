// Offers names while one is typed behind an "@". Arrows move, Enter or Tab takes, Escape closes.

import type { Member, RoomSnapshot } from "@roomful/client";
import {
  useId,
  useMemo,
  useRef,
  useState,
  type AriaAttributes,
  type KeyboardEvent,
  type RefObject,
} from "react";

import { beginning, matching, type Beginning, type Person } from "../text/mentions.ts";
import type { Names } from "../text/names.ts";
import { useBrowserLayoutEffect } from "./use_layout_effect.ts";

/** Names in the list at a time. */
const MOST_OFFERED = 8;
/** Authors of the newest messages are offered after the members. */
const SEARCHED = 200;

export interface MentionOptions {
  readonly field: RefObject<HTMLTextAreaElement | null>;
  readonly snapshot: RoomSnapshot;
  readonly me: string | undefined;
  readonly names: Names;
  readonly text: string;
  readonly setText: (text: string) => void;
  /** Receives the user that was chosen for a name. */
  readonly chosen: Map<string, string>;
}

export interface Mentions {
  readonly id: string;
  readonly offered: readonly (Person & Pick<Member, "avatar" | "status">)[];
  readonly marked: number;
  /** Attributes of the field. */
  readonly aria: AriaAttributes;
  readonly look: () => void;
  readonly close: () => void;
  readonly take: (person: Person) => void;
  /** True if the key was for the list. */
  readonly key: (event: KeyboardEvent) => boolean;
}

export function useMentions(options: MentionOptions): Mentions {
  const { field, snapshot, me, names, text, setText, chosen } = options;
  const id = useId();
  const [place, setPlace] = useState<Beginning>();
  /** The place where the user has closed the list: it stays closed while they type the same name. */
  const [refused, setRefused] = useState<number>();
  const [mark, setMark] = useState<string>();
  /** Where the caret goes with the next text. */
  const caret = useRef<number>(undefined);

  const offered = useMemo(() => {
    if (!place || place.from === refused) return [];
    const members = new Map(snapshot.members.map((member) => [member.userId, member]));
    return matching(peopleIn(snapshot, me, names), place.typed, MOST_OFFERED).map((person) => ({
      ...person,
      avatar: members.get(person.userId)?.avatar ?? null,
      status: members.get(person.userId)?.status ?? ("offline" as const),
    }));
  }, [place, refused, snapshot, me, names]);
  const marked = Math.max(
    0,
    offered.findIndex(({ userId }) => userId === mark),
  );
  const open = offered.length > 0;

  const look = () => {
    const element = field.current;
    if (!element) return;
    const { selectionStart, selectionEnd, value } = element;
    const next = selectionStart === selectionEnd ? beginning(value, selectionStart) : undefined;
    if (next?.from !== refused) setRefused(undefined);
    setPlace((before) => (before?.from === next?.from && before?.typed === next?.typed ? before : next));
  };
  const close = () => setPlace(undefined);
  const take = ({ userId, name }: Person) => {
    if (!place) return;
    const { from, typed } = place;
    chosen.set(name, userId);
    const written = `@${name} `;
    setText(text.slice(0, from) + written + text.slice(from + 1 + typed.length));
    close();
    caret.current = from + written.length;
  };
  // The caret moves with the new text, before the user can type on.
  useBrowserLayoutEffect(() => {
    if (caret.current === undefined) return;
    field.current?.focus();
    field.current?.setSelectionRange(caret.current, caret.current);
    caret.current = undefined;
  }, [field, text]);
  const key = (event: KeyboardEvent): boolean => {
    if (!open || event.altKey || event.ctrlKey || event.metaKey || event.shiftKey) return false;
    const person = offered[marked];
    if (event.key === "ArrowDown") setMark(offered[(marked + 1) % offered.length]?.userId);
    else if (event.key === "ArrowUp") setMark(offered.at(marked - 1)?.userId);
    else if ((event.key === "Enter" || event.key === "Tab") && person) take(person);
    else if (event.key === "Escape") setRefused(place?.from);
    else return false;
    event.preventDefault();
    event.stopPropagation();
    return true;
  };
  const aria: AriaAttributes = {
    "aria-autocomplete": "list",
    "aria-controls": open ? `${id}list` : undefined,
    "aria-activedescendant": open ? `${id}${marked}` : undefined,
  };
  return { id, offered, marked, aria, look, close, take, key };
}

/** The others in a room: members, those who are online first, then the latest authors. */
function peopleIn({ members, messages }: RoomSnapshot, me: string | undefined, names: Names): Person[] {
  const ids = new Set(members.map(({ userId }) => userId));
  for (const { userId, state } of messages.slice(-SEARCHED).reverse())
    if (state === "sent") ids.add(userId);
  if (me !== undefined) ids.delete(me);
  return [...ids].map((userId) => ({ userId, name: names(userId) }));
}
