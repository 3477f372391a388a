// The state of a small box that a button opens: Escape and a click elsewhere close it.

import { useCallback, useEffect, useRef, useState, type RefObject } from "react";

/** The state of the box, and the refs of its elements. */
export interface Popup<E extends HTMLElement> {
  readonly open: boolean;
  /** Opens or closes the box. */
  readonly toggle: () => void;
  /** Closes the box and gives the focus back to the button. */
  readonly close: () => void;
  /** Goes on the element around button and box. */
  readonly area: RefObject<E | null>;
  readonly button: RefObject<HTMLButtonElement | null>;
}

/** The state of a box that a button opens. */
export function usePopup<E extends HTMLElement>(): Popup<E> {
  const [open, setOpen] = useState(false);
  const area = useRef<E>(null);
  const button = useRef<HTMLButtonElement>(null);
  const close = useCallback(() => {
    setOpen(false);
    button.current?.focus();
  }, []);
  const toggle = useCallback(() => setOpen((was) => !was), []);
  useEffect(() => {
    if (!open) return undefined;
    const outside = (event: Event) => {
      if (!area.current?.contains(event.target as Node)) setOpen(false);
    };
    const escape = (event: KeyboardEvent) => {
      if (event.key !== "Escape") return;
      event.stopPropagation();
      close();
    };
    document.addEventListener("pointerdown", outside);
    document.addEventListener("focusin", outside);
    document.addEventListener("keydown", escape, true);
    return () => {
      document.removeEventListener("pointerdown", outside);
      document.removeEventListener("focusin", outside);
      document.removeEventListener("keydown", escape, true);
    };
  }, [open, close]);
  return { open, toggle, close, area, button };
}
