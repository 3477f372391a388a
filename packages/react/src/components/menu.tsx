// A button that opens a menu. Arrow keys walk through the entries.

import { useRef, useState, type KeyboardEvent } from "react";

import { Dialog } from "./dialog.tsx";
import { Icon } from "./icon.tsx";

export interface MenuItem {
  /** The entry's `data-testid`. */
  readonly id: string;
  readonly label: string;
  readonly onSelect: () => void;
}

export interface MenuProps {
  readonly label: string;
  /** The line above the entries: whom they concern. */
  readonly title: string;
  readonly items: readonly MenuItem[];
}

/** A button with three dots and its menu. Shows nothing without entries. */
export function Menu({ label, title, items }: MenuProps) {
  const [open, setOpen] = useState(false);
  const button = useRef<HTMLButtonElement>(null);
  if (items.length === 0) return null;
  const close = () => setOpen(false);
  return (
    <>
      <button
        ref={button}
        type="button"
        className="rf-icon-button"
        data-testid="menu"
        aria-label={label}
        title={label}
        aria-haspopup="dialog"
        aria-expanded={open}
        onClick={() => setOpen(true)}
      >
        <Icon name="dots" />
      </button>
      {open && (
        <Dialog label={label} testid="menu-list" anchor={button} onClose={close} onKeyDown={walk}>
          <p className="rf-menu-title" dir="auto">
            {title}
          </p>
          <ul>
            {items.map(({ id, label: text, onSelect }) => (
              <li key={id}>
                <button
                  type="button"
                  className="rf-menu-item"
                  data-testid={id}
                  onClick={() => {
                    close();
                    onSelect();
                  }}
                >
                  {text}
                </button>
              </li>
            ))}
          </ul>
        </Dialog>
      )}
    </>
  );
}

/** Moves the focus to the next or previous entry. */
function walk(event: KeyboardEvent<HTMLElement>): void {
  const step = { ArrowDown: 1, ArrowUp: -1 }[event.key];
  if (step === undefined) return;
  event.preventDefault();
  const entries = [...event.currentTarget.querySelectorAll("button")];
  const at = entries.indexOf(event.target as HTMLButtonElement);
  entries[(at + step + entries.length) % entries.length]?.focus();
}
