// Edits a message in place: Enter saves, Shift+Enter breaks the line, Escape cancels.

import { useEffect, useRef, useState, type KeyboardEvent } from "react";

import { useTexts } from "../provider.tsx";

export interface MessageEditorProps {
  readonly text: string;
  readonly onSave: (text: string) => void;
  readonly onCancel: () => void;
}

export function MessageEditor({ text, onSave, onCancel }: MessageEditorProps) {
  const texts = useTexts();
  const [value, setValue] = useState(text);
  const field = useRef<HTMLTextAreaElement>(null);
  useEffect(() => {
    field.current?.focus();
    field.current?.setSelectionRange(text.length, text.length);
  }, [text]);
  const save = () => {
    const next = value.trim();
    if (next === "" || next === text) onCancel();
    else onSave(next);
  };
  const key = (event: KeyboardEvent) => {
    event.stopPropagation();
    if (event.nativeEvent.isComposing) return;
    if (event.key === "Escape") onCancel();
    else if (event.key === "Enter" && !event.shiftKey) {
      event.preventDefault();
      save();
    }
  };
  return (
    <div className="rf-editor" data-testid="editor">
      <textarea
        ref={field}
        className="rf-field"
        data-testid="edit-field"
        aria-label={texts.editMessage}
        dir="auto"
        rows={Math.min(8, value.split("\n").length)}
        value={value}
        onChange={(event) => setValue(event.target.value)}
        onKeyDown={key}
      />
      <div className="rf-row">
        <button type="button" className="rf-button rf-primary" data-testid="edit-save" onClick={save}>
          {texts.save}
        </button>
        <button type="button" className="rf-button" data-testid="edit-cancel" onClick={onCancel}>
          {texts.cancel}
        </button>
      </div>
    </div>
  );
}
