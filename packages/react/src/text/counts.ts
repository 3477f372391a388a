// Counts as badges show them.

/** The count, or "99+" for a higher one. */
export function shortCount(count: number): string {
  return count > 99 ? "99+" : String(count);
}
