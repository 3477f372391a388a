// The focused message of a list: arrow keys move it, and it stays in the page while it is scrolled out of
// sight.

import { defaultRangeExtractor, type Range } from "@tanstack/react-virtual";
import { useCallback, useMemo, useState, type FocusEvent, type KeyboardEvent, type RefObject } from "react";

import { useBrowserLayoutEffect } from "./use_layout_effect.ts";

/** Rows by which a key moves the focus. */
const STEPS: Readonly<Record<string, number>> = { ArrowUp: -1, ArrowDown: 1, PageUp: -10, PageDown: 10 };

export interface FocusedRow {
  readonly rangeExtractor: (range: Range) => number[];
  readonly onFocus: (event: FocusEvent) => void;
  /** The row that a key leads to, or undefined for other keys. */
  readonly move: (event: KeyboardEvent) => number | undefined;
}

export function useFocusedRow(
  scroller: RefObject<HTMLElement | null>,
  keys: { readonly count: number; readonly at: (index: number) => string },
): FocusedRow {
  const { count, at: keyAt } = keys;
  const [focused, setFocused] = useState<string>();
  const focusedAt = useMemo(() => {
    if (focused === undefined) return -1;
    for (let index = count - 1; index >= 0; index -= 1) if (keyAt(index) === focused) return index;
    return -1;
  }, [focused, count, keyAt]);
  const rangeExtractor = useCallback(
    (range: Range) => {
      const shown = defaultRangeExtractor(range);
      if (focusedAt < 0 || shown.includes(focusedAt)) return shown;
      return [...shown, focusedAt].sort((a, b) => a - b);
    },
    [focusedAt],
  );
  useBrowserLayoutEffect(() => {
    const row = scroller.current?.querySelector<HTMLElement>(`[role="article"][data-index="${focusedAt}"]`);
    // Only a key moves the focus: from one message to another one.
    if (row && row !== document.activeElement && document.activeElement?.role === "article")
      row.focus({ preventScroll: true });
  }, [scroller, focusedAt]);
  const onFocus = ({ target }: FocusEvent) => {
    const row = target.closest<HTMLElement>('[role="article"]');
    setFocused(row ? keyAt(Number(row.dataset["index"])) : undefined);
  };
  const move = (event: KeyboardEvent) => {
    const step = STEPS[event.key];
    const article = event.target as HTMLElement;
    if (step === undefined || article.getAttribute("role") !== "article") return undefined;
    event.preventDefault();
    const index = Math.max(0, Math.min(count - 1, Number(article.dataset["index"]) + step));
    setFocused(keyAt(index));
    return index;
  };
  return { rangeExtractor, onFocus, move };
}
