// A modal box of the browser: it keeps the focus inside, and gives it back when it closes.

import { useRef, type KeyboardEvent, type ReactNode, type RefObject } from "react";

import { EDGE, leftOnPage } from "./on_page.ts";
import { useBrowserLayoutEffect } from "./use_layout_effect.ts";

/** Pixels between a menu and its button. */
const GAP = 4;

export interface DialogProps {
  readonly label: string;
  readonly testid: string;
  /** The user wants the box closed: by Escape, or by a click beside it. */
  readonly onClose: () => void;
  /** The button that the box stands beside. Without it, the box stands in the middle. */
  readonly anchor?: RefObject<HTMLElement | null>;
  readonly onKeyDown?: (event: KeyboardEvent<HTMLDialogElement>) => void;
  readonly children: ReactNode;
}

/** A modal box that is open while it is mounted. */
export function Dialog({ label, testid, onClose, anchor, onKeyDown, children }: DialogProps) {
  const element = useRef<HTMLDialogElement>(null);
  /** Whether the pointer went down outside of the box. A selection that ends there closes nothing. */
  const pressedOutside = useRef(false);
  useBrowserLayoutEffect(() => {
    const dialog = element.current;
    if (!dialog) return undefined;
    dialog.showModal();
    if (anchor?.current) placeBeside(dialog, anchor.current);
    return () => dialog.close();
  }, [anchor]);
  return (
    <dialog
      ref={element}
      className={anchor ? "rf-dialog rf-menu" : "rf-dialog"}
      data-testid={testid}
      aria-label={label}
      onCancel={(event) => {
        event.preventDefault();
        onClose();
      }}
      onPointerDown={({ target, currentTarget }) => (pressedOutside.current = target === currentTarget)}
      onClick={({ target, currentTarget }) => {
        if (pressedOutside.current && target === currentTarget) onClose();
      }}
      onKeyDown={(event) => {
        // The keys are for the box, not for the list or the page around it.
        event.stopPropagation();
        onKeyDown?.(event);
      }}
      onFocus={(event) => event.stopPropagation()}
    >
      <div className="rf-dialog-content">{children}</div>
    </dialog>
  );
}

/** Puts a menu below its button, or above it if there is no room. The style sheet places it on a phone. */
function placeBeside(menu: HTMLElement, button: HTMLElement): void {
  const { left, right, top, bottom } = button.getBoundingClientRect();
  const { offsetWidth: width, offsetHeight: height } = menu;
  const wanted = getComputedStyle(button).direction === "rtl" ? left : right - width;
  const fits = bottom + GAP + height <= innerHeight - EDGE;
  menu.style.left = `${leftOnPage(wanted, width)}px`;
  menu.style.top = `${fits ? bottom + GAP : Math.max(EDGE, top - GAP - height)}px`;
}
