// How long to wait before another attempt.

/** Milliseconds until the attempt after so many: longer each time, and different for each client. */
export function backOff(
  [first, longest]: readonly [first: number, longest: number],
  attempts: number,
): number {
  return Math.min(first * 2 ** attempts, longest) * (0.5 + Math.random() / 2);
}
