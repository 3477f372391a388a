// The ledger's check, as a pure function: a room holds exactly the acknowledged messages, once, each at its
// seq.

/**
 * Lists the violations in `entries`, `{seq, text}` in the order of receipt or storage, of a room with
 * exactly these `acknowledged` messages, text -> seq. Empty if there are none. Texts must be unique:
 * otherwise a message stored twice, under two seqs, looks like two messages.
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
