// The one law, as a pure value: what was acknowledged is there once, at its place, and nothing else is.

/**
 * What is wrong with `entries`, `{seq, text}` in the order in which they were seen or stored, of a room in which exactly
 * `acknowledged`, text -> seq, was sent; nothing, if all is well. Each text must be another one: only by that a message that
 * was stored twice, under two seqs, can be told from two messages.
 */
export function faults(entries, acknowledged) {
  const wrong = [];
  const seen = new Map();
  let last = 0;
  for (const { seq, text } of entries) {
    if (seq !== last + 1) wrong.push(`${seq} follows ${last}`);
    if (!acknowledged.has(text)) wrong.push(`${seq}, "${text}", was not acknowledged`);
    else if (seen.has(text)) wrong.push(`${seq}, "${text}", was there before, as ${seen.get(text)}`);
    else if (acknowledged.get(text) !== seq)
      wrong.push(`${seq}, "${text}", was acknowledged as ${acknowledged.get(text)}`);
    seen.set(text, seq);
    last = seq;
  }
  for (const [text, seq] of acknowledged) if (!seen.has(text)) wrong.push(`${seq}, "${text}", is missing`);
  return wrong;
}
