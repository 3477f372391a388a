// Where a box may stand sideways, so that all of it is on the page.

/** The least distance from the edges of the page, in pixels. */
export const EDGE = 8;

/** The place next to `left` at which a box of this width is on the page. */
export function leftOnPage(left: number, width: number): number {
  return Math.max(EDGE, Math.min(left, document.documentElement.clientWidth - width - EDGE));
}
