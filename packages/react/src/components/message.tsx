// One message: author, text, reply, reactions, state, and the toolbar.

import type { KnownSanctions, Role, Room, RoomMessage } from "@roomful/client";
import { memo, useRef, useState } from "react";

import { useBlocks } from "../hooks.ts";
import { useReplyCell, useLocale, useTexts } from "../provider.tsx";
import { Markdown, plainText } from "../text/markdown.tsx";
import type { Names } from "../text/names.ts";
import { fullTime, time } from "../text/times.ts";
import { Avatar } from "./avatar.tsx";
import { Icon } from "./icon.tsx";
import { MessageActions } from "./message_actions.tsx";
import { MessageEditor } from "./message_editor.tsx";
import { Reactions } from "./reactions.tsx";
import { moderates, usePersonActions } from "./use_person_actions.tsx";
import { useRun } from "./use_run.ts";

/** The emojis that a message's toolbar offers by default. */
export const EMOJIS: readonly string[] = ["👍", "❤️", "😂", "🎉", "😮", "😢"];

/** Props of `Message`. */
export interface MessageProps {
  readonly room: Room;
  readonly message: RoomMessage;
  /** The id of the user. */
  readonly me: string | undefined;
  /** The user's role in the room. */
  readonly role?: Role | undefined;
  /** The role of the message's author. */
  readonly authorRole?: Role | undefined;
  /** Whether the author is muted or banned, if it is known. */
  readonly authorSanctions?: KnownSanctions | undefined;
  readonly names: Names;
  /** The URL of the author's picture. Default: the one in the message. */
  readonly avatar?: string | null | undefined;
  /** False if the message follows another one of its author and needs no name. Default: true. */
  readonly heads?: boolean;
  /** The message that this one replies to, if it is loaded. */
  readonly quoted?: RoomMessage | undefined;
  /** Names of the others who have read up to this message. */
  readonly readBy?: readonly string[];
  readonly emojis?: readonly string[];
  /** Called to show the message that this one replies to. */
  readonly onJump?: (seq: number) => void;
}

/** One message with its toolbar. */
export const Message = memo(function Message(props: MessageProps) {
  const { room, message, me, role, authorRole, authorSanctions, names, heads = true } = props;
  const { quoted, readBy = [], emojis = EMOJIS, onJump, avatar = message.avatar } = props;
  const texts = useTexts();
  const replies = useReplyCell(room.name);
  const blocked = useBlocks().has(message.userId);
  const [shown, setShown] = useState(false);
  const [editing, setEditing] = useState(false);
  const [failure, run] = useRun();
  const element = useRef<HTMLDivElement>(null);
  const own = message.state !== "sent" || message.userId === me;
  const name = message.name ?? names(message.userId);
  const { userId, seq } = message;
  const { items, dialog } = usePersonActions({
    room,
    userId,
    name,
    seq,
    me,
    role,
    theirRole: authorRole,
    sanctions: authorSanctions,
    run,
  });
  const react = (emoji: string, on: boolean) => run(room.react(message.seq, emoji, on));
  const endEditing = () => {
    setEditing(false);
    // The field is gone: the focus goes back to the message.
    element.current?.closest<HTMLElement>("[tabindex]")?.focus();
  };
  const mentioned = message.mentions ?? [];
  if (blocked && !shown) return <Blocked message={message} onShow={() => setShown(true)} />;
  return (
    <div
      ref={element}
      className="rf-message"
      data-testid="message"
      data-seq={message.state === "sent" ? message.seq : undefined}
      data-state={message.state}
      data-own={own}
      data-deleted={message.deleted === true}
      data-mentioned={me !== undefined && mentioned.includes(me)}
      data-heads={heads}
    >
      <div className="rf-gutter">
        {heads ? (
          <Avatar userId={message.userId} name={name} src={avatar} />
        ) : (
          <Time at={message.at} className="rf-side-time" />
        )}
      </div>
      <div className="rf-content">
        {heads && (
          <div className="rf-head">
            <bdi className="rf-name">{name}</bdi> <Time at={message.at} />
          </div>
        )}
        {message.replyTo !== undefined && (
          <Quote seq={message.replyTo} quoted={quoted} names={names} onJump={onJump} />
        )}
        {editing ? (
          <MessageEditor
            text={message.text}
            onCancel={endEditing}
            onSave={(text) => {
              endEditing();
              run(room.edit(message.seq, text));
            }}
          />
        ) : (
          <div className="rf-text" dir="auto">
            {message.deleted ? (
              <p className="rf-deleted">{texts.deleted}</p>
            ) : (
              <Markdown text={message.text} mentions={mentioned.map(names)} />
            )}
            {message.editedAt !== undefined && !message.deleted && (
              <span className="rf-edited" data-testid="edited">
                {" "}
                {texts.edited}
              </span>
            )}
          </div>
        )}
        {message.reactions && (
          <Reactions reactions={message.reactions} me={me} names={names} onReact={react} />
        )}
        <State message={message} failure={failure} />
        {readBy.length > 0 && (
          <div className="rf-read-by" data-testid="read-by">
            {texts.readBy(readBy)}
          </div>
        )}
      </div>
      {message.state === "sent" && !message.deleted && !editing && (
        <MessageActions
          mayEdit={own}
          mayRemove={own || moderates(role)}
          name={name}
          items={items}
          emojis={emojis}
          onReact={(emoji) => react(emoji, true)}
          onReply={() => replies.set(message)}
          onEdit={() => setEditing(true)}
          onRemove={() => run(room.remove(message.seq))}
        />
      )}
      {dialog}
    </div>
  );
});

/** Stands for a message of a blocked user until the user wants to see it. */
function Blocked({ message, onShow }: { message: RoomMessage; onShow: () => void }) {
  const texts = useTexts();
  return (
    <div
      className="rf-message"
      data-testid="message"
      data-seq={message.seq}
      data-state={message.state}
      data-blocked="true"
    >
      <div className="rf-gutter" />
      <p className="rf-deleted">
        {texts.blockedMessage} ·{" "}
        <button type="button" className="rf-link" data-testid="show-blocked" onClick={onShow}>
          {texts.show}
        </button>
      </p>
    </div>
  );
}

function Time({ at, className = "rf-time" }: { at: number; className?: string }) {
  const locale = useLocale();
  return (
    <time className={className} dateTime={new Date(at).toISOString()} title={fullTime(at, locale)}>
      {time(at, locale)}
    </time>
  );
}

interface QuoteProps {
  readonly seq: number;
  readonly quoted: RoomMessage | undefined;
  readonly names: Names;
  readonly onJump: ((seq: number) => void) | undefined;
}

function Quote({ seq, quoted, names, onJump }: QuoteProps) {
  const texts = useTexts();
  const blocked = useBlocks().has(quoted?.userId ?? "");
  const name = quoted && (quoted.name ?? names(quoted.userId));
  const text = blocked
    ? texts.blockedMessage
    : quoted?.deleted
      ? texts.deleted
      : quoted && plainText(quoted.text);
  return (
    <button type="button" className="rf-quote" data-testid="quote" onClick={() => onJump?.(seq)}>
      <Icon name="reply" />
      {name === undefined ? (
        texts.earlierMessage
      ) : (
        <>
          <span className="rf-hidden">{texts.repliesTo(name)}:</span>
          <bdi className="rf-quote-name" aria-hidden="true">
            {name}
          </bdi>
          <span className="rf-quote-text">{text}</span>
        </>
      )}
    </button>
  );
}

function State({ message, failure }: { message: RoomMessage; failure: string | undefined }) {
  const texts = useTexts();
  if (message.state === "sending")
    return (
      <div className="rf-state">
        <Icon name="clock" /> {texts.sending}
      </div>
    );
  if (message.state === "failed")
    return (
      <div className="rf-state rf-bad" role="alert">
        <Icon name="alert" /> {texts.notSent(message.error.message)}
        <button type="button" className="rf-link" data-testid="retry" onClick={message.retry}>
          {texts.retry}
        </button>
        <button type="button" className="rf-link" data-testid="discard" onClick={message.discard}>
          {texts.discard}
        </button>
      </div>
    );
  if (failure === undefined) return null;
  return (
    <div className="rf-state rf-bad" role="alert">
      <Icon name="alert" /> {texts.actionFailed(failure)}
    </div>
  );
}
