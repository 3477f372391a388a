// The laws of a room, on what devices wrote and show, against the log of the server.

/**
 * What breaks a law: an acknowledged or written message that is not stored exactly once, under its number and
 * in the order of writing; and a device that shows anything but the end of the log.
 */
export function violations(room, log, views) {
  return views.flatMap((view) => [...lost(room, log, view), ...shownOtherwise(room, log, view)]);
}

function* lost(room, log, { name, written }) {
  const stored = log.filter(({ text }) => text.startsWith(`${name} `));
  const seqs = new Map();
  for (const { text, seq } of stored) seqs.set(text, [...(seqs.get(text) ?? []), seq]);
  for (const [text, acknowledged] of written) {
    const found = seqs.get(text) ?? [];
    if (found.length !== 1) yield `${room}: "${text}" is stored ${found.length} times (${found})`;
    else if (acknowledged !== undefined && acknowledged !== found[0])
      yield `${room}: "${text}" was acknowledged as ${acknowledged} and is stored as ${found[0]}`;
  }
  const order = stored.map(({ text }) => text);
  const wanted = [...written.keys()];
  const at = order.findIndex((text, n) => text !== wanted[n]);
  if (at >= 0) yield `${room}: "${order[at]}" is stored where ${name} wrote "${wanted[at]}"`;
}

function* shownOtherwise(room, log, { name, shown }) {
  const from = shown[0]?.seq ?? Infinity;
  const end = log.filter(({ seq }) => seq >= from);
  if (shown.length === 0 && log.length > 0) yield `${room}: ${name} shows nothing of ${log.length} messages`;
  const line = (message) => (message ? `${message.seq} "${message.text}"` : "nothing");
  for (let n = 0; n < Math.max(end.length, shown.length); n += 1) {
    if (line(end[n]) === line(shown[n])) continue;
    yield `${room}: ${name} shows ${line(shown[n])} where the log has ${line(end[n])}`;
    return;
  }
}
