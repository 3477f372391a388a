// The field for a new message: mentions, a reply, and a draft that survives a reload.

import { useCallback, useEffect, useRef, useState, type KeyboardEvent } from "react";

import { useNames, useReply, useRoom, useUserId } from "../hooks.ts";
import { useTexts } from "../provider.tsx";
import { plainText } from "../text/markdown.tsx";
import { mentioned } from "../text/mentions.ts";
import { Icon } from "./icon.tsx";
import { MentionList } from "./mention_list.tsx";
import { useBrowserLayoutEffect } from "./use_layout_effect.ts";
import { useMentions } from "./use_mentions.ts";
import { useWriting, WritingNote } from "./writing_note.tsx";

/** Milliseconds after the last key press before a draft is kept. */
const DRAFT = 300;
/** The most users in one message's mentions: the server's default limit. */
const MOST_MENTIONS = 20;
/** The tallest field before it scrolls, in pixels. */
const TALLEST = 200;

/** Props of `Composer`. */
export interface ComposerProps {
  readonly room: string;
  readonly placeholder?: string;
  readonly autoFocus?: boolean;
}

/** The field for a new message. Enter sends, Shift+Enter breaks the line, "@" offers names. */
export function Composer(props: ComposerProps) {
  return <Field key={props.room} {...props} />;
}

function Field({ room: name, placeholder, autoFocus = false }: ComposerProps) {
  const texts = useTexts();
  const me = useUserId();
  const [snapshot, room] = useRoom(name);
  const names = useNames(snapshot);
  const [reply, setReply] = useReply(name);
  const [text, setText] = useState("");
  const field = useRef<HTMLTextAreaElement>(null);
  /** The user who was chosen for a name, since two users may have the same one. */
  const chosen = useRef(new Map<string, string>());
  const { error, members } = snapshot;
  const writing = useWriting(snapshot);
  const locked = error !== undefined || writing.locked;

  useEffect(() => {
    let gone = false;
    void room.draft().then((draft) => {
      if (!gone && draft) setText((typed) => (typed === "" ? draft.text : typed));
    });
    return () => {
      gone = true;
    };
  }, [room]);
  const saved = useRef<ReturnType<typeof setTimeout>>(undefined);
  const latest = useRef("");
  const keep = useCallback(
    (next: string) => {
      latest.current = next;
      const save = () => {
        saved.current = undefined;
        void room.saveDraft(next === "" ? undefined : { text: next });
      };
      clearTimeout(saved.current);
      if (next === "") save();
      else saved.current = setTimeout(save, DRAFT);
    },
    [room],
  );
  useEffect(
    () => () => {
      if (saved.current === undefined) return;
      clearTimeout(saved.current);
      void room.saveDraft({ text: latest.current });
    },
    [room],
  );
  useEffect(() => {
    if (reply) field.current?.focus();
  }, [reply]);
  useBrowserLayoutEffect(() => {
    const element = field.current;
    if (!element) return;
    element.style.height = "auto";
    element.style.height = `${Math.min(TALLEST, element.scrollHeight)}px`;
  }, [text]);

  const replaceText = (next: string) => {
    setText(next);
    keep(next);
  };
  const mentions = useMentions({
    field,
    snapshot,
    me,
    names,
    text,
    setText: replaceText,
    chosen: chosen.current,
  });
  const typed = (next: string) => {
    replaceText(next);
    if (next.trim() === "") room.stopTyping();
    else room.typing();
  };
  const words = text.trim();
  const maySend = words !== "" && !locked && writing.wait <= 0;
  const send = () => {
    if (!maySend) return;
    const people = members.map(({ userId }) => ({ userId, name: names(userId) }));
    const ids = mentioned(words, chosen.current, people, MOST_MENTIONS);
    room.send({
      text: words,
      ...(reply && { replyTo: reply.seq }),
      ...(ids.length > 0 && { mentions: ids }),
    });
    chosen.current.clear();
    replaceText("");
    setReply(undefined);
    field.current?.focus();
  };
  const key = (event: KeyboardEvent<HTMLTextAreaElement>) => {
    if (event.nativeEvent.isComposing || mentions.key(event)) return;
    if (event.key === "Enter" && !event.shiftKey && !event.altKey) {
      event.preventDefault();
      send();
    } else if (event.key === "Escape" && reply) {
      event.stopPropagation();
      setReply(undefined);
    }
  };
  const label = placeholder ?? texts.message(name);
  return (
    <form
      className="rf-composer"
      onSubmit={(event) => {
        event.preventDefault();
        send();
      }}
    >
      <MentionList mentions={mentions} />
      {!error && (
        <WritingNote restrictions={snapshot.restrictions} role={snapshot.role} writing={writing} />
      )}
      {reply && (
        <div className="rf-replying" data-testid="replying">
          <Icon name="reply" />
          <span className="rf-replying-to">{texts.replyingTo(reply.name ?? names(reply.userId))}</span>
          <span className="rf-quote-text">{plainText(reply.text)}</span>
          <button
            type="button"
            className="rf-icon-button"
            data-testid="cancel-reply"
            aria-label={texts.cancelReply}
            onClick={() => setReply(undefined)}
          >
            <Icon name="close" />
          </button>
        </div>
      )}
      <div className="rf-compose">
        <textarea
          ref={field}
          className="rf-compose-field"
          data-testid="composer"
          aria-label={label}
          placeholder={label}
          dir="auto"
          rows={1}
          enterKeyHint="send"
          autoFocus={autoFocus}
          disabled={locked}
          value={text}
          onChange={(event) => typed(event.target.value)}
          onSelect={mentions.look}
          onBlur={mentions.close}
          onKeyDown={key}
          {...mentions.aria}
        />
        <button
          type="submit"
          className="rf-send"
          data-testid="send"
          aria-label={texts.send}
          disabled={!maySend}
        >
          <Icon name="send" />
        </button>
      </div>
    </form>
  );
}
