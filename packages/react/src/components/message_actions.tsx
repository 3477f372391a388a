// The toolbar of a message: react, reply, edit, delete, and a menu about its author.

import { useState } from "react";

import { useTexts } from "../provider.tsx";
import { Icon } from "./icon.tsx";
import { Menu, type MenuItem } from "./menu.tsx";
import { usePopup } from "./use_popup.ts";

export interface MessageActionsProps {
  readonly mayEdit: boolean;
  readonly mayRemove: boolean;
  /** The name of the author. */
  readonly name: string;
  /** Entries of the menu about the author. */
  readonly items: readonly MenuItem[];
  readonly emojis: readonly string[];
  readonly onReact: (emoji: string) => void;
  readonly onReply: () => void;
  readonly onEdit: () => void;
  readonly onRemove: () => void;
}

export function MessageActions(props: MessageActionsProps) {
  const { mayEdit, mayRemove, name, items, emojis, onReact, onReply, onEdit, onRemove } = props;
  const texts = useTexts();
  const picker = usePopup<HTMLDivElement>();
  const [asking, setAsking] = useState(false);
  if (asking)
    return (
      <div className="rf-actions rf-asking" role="group" aria-label={texts.removeSure}>
        <span>{texts.removeSure}</span>
        <button
          type="button"
          className="rf-button rf-danger"
          data-testid="delete-sure"
          autoFocus
          onClick={() => {
            setAsking(false);
            onRemove();
          }}
        >
          {texts.remove}
        </button>
        <button
          type="button"
          className="rf-button"
          data-testid="delete-keep"
          onClick={() => setAsking(false)}
        >
          {texts.cancel}
        </button>
      </div>
    );
  return (
    <div
      ref={picker.area}
      className="rf-actions"
      role="group"
      aria-label={texts.actions}
      data-testid="actions"
      data-open={picker.open}
    >
      <button
        ref={picker.button}
        type="button"
        className="rf-icon-button"
        data-testid="react"
        aria-label={texts.react}
        title={texts.react}
        aria-expanded={picker.open}
        onClick={picker.toggle}
      >
        <Icon name="smile" />
      </button>
      <button
        type="button"
        className="rf-icon-button"
        data-testid="reply"
        aria-label={texts.reply}
        title={texts.reply}
        onClick={onReply}
      >
        <Icon name="reply" />
      </button>
      {mayEdit && (
        <button
          type="button"
          className="rf-icon-button"
          data-testid="edit"
          aria-label={texts.edit}
          title={texts.edit}
          onClick={onEdit}
        >
          <Icon name="pencil" />
        </button>
      )}
      {mayRemove && (
        <button
          type="button"
          className="rf-icon-button"
          data-testid="delete"
          aria-label={texts.remove}
          title={texts.remove}
          onClick={() => setAsking(true)}
        >
          <Icon name="bin" />
        </button>
      )}
      <Menu label={texts.moreActions(name)} title={name} items={items} />
      {picker.open && (
        <div className="rf-picker" role="group" aria-label={texts.react}>
          {emojis.map((emoji) => (
            <button
              key={emoji}
              type="button"
              data-testid="sign"
              data-emoji={emoji}
              aria-label={texts.reactWith(emoji)}
              onClick={() => {
                picker.close();
                onReact(emoji);
              }}
            >
              {emoji}
            </button>
          ))}
        </div>
      )}
    </div>
  );
}
