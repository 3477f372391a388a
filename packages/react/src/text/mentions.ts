// Names after an "@": finding the one being typed, the users a text mentions, and where their names stand
// in it.

export interface Person {
  userId: string;
  name: string;
}

/** The beginning of a name behind the "@" at `from`, as typed so far. */
export interface Beginning {
  from: number;
  typed: string;
}

/** Names longer than this are not searched for while one types. */
const LONGEST = 40;
const WORD = /[\p{L}\p{N}_]/u;

/** The name that is being typed right before the caret, if there is one. */
export function beginning(text: string, caret: number): Beginning | undefined {
  const before = text.slice(Math.max(0, caret - LONGEST - 1), caret);
  const typed = /(?:^|[^\p{L}\p{N}_@])@([^\s@]*)$/u.exec(before)?.[1];
  return typed === undefined || typed.length > LONGEST
    ? undefined
    : { from: caret - typed.length - 1, typed };
}

/** Those whose name has a word that begins as typed; whole names first, else in the order given. */
export function matching(people: readonly Person[], typed: string, most: number): Person[] {
  const wanted = fold(typed);
  const rank = ({ userId, name }: Person): number => {
    if (fold(name).startsWith(wanted)) return 0;
    if (
      fold(name)
        .split(/[\s._-]+/)
        .some((word) => word.startsWith(wanted))
    )
      return 1;
    return fold(userId).startsWith(wanted) ? 2 : 3;
  };
  const ranked = people.map((person) => ({ person, rank: rank(person) })).filter((found) => found.rank < 3);
  return ranked
    .sort((a, b) => a.rank - b.rank)
    .slice(0, most)
    .map(({ person }) => person);
}

/**
 * The ids of those whom a text mentions. `chosen` says who was meant by a name; a name that was typed by
 * hand counts if one of `people` alone has it.
 */
export function mentioned(
  text: string,
  chosen: ReadonlyMap<string, string>,
  people: readonly Person[],
  most: number,
): string[] {
  const owners = new Map<string, string | undefined>();
  for (const { userId, name } of people)
    owners.set(name, owners.has(name) && owners.get(name) !== userId ? undefined : userId);
  for (const [name, userId] of chosen) owners.set(name, userId);
  const ids = pieces(text, [...owners.keys()]).map(({ name }) =>
    name === undefined ? undefined : owners.get(name),
  );
  return [...new Set(ids.filter((id) => id !== undefined))].slice(0, most);
}

/** A text cut at the names in it; a piece that is one carries it. */
export function pieces(text: string, names: readonly string[]): { text: string; name?: string }[] {
  const longestFirst = names.filter((name) => name !== "").sort((a, b) => b.length - a.length);
  const found: { text: string; name?: string }[] = [];
  let done = 0;
  for (let at = text.indexOf("@"); at >= 0; at = text.indexOf("@", Math.max(at + 1, done))) {
    if (at > 0 && WORD.test(text.charAt(at - 1))) continue;
    const name = longestFirst.find((candidate) => standsAt(text, at + 1, candidate));
    if (name === undefined) continue;
    if (at > done) found.push({ text: text.slice(done, at) });
    done = at + 1 + name.length;
    found.push({ text: text.slice(at, done), name });
  }
  if (done < text.length) found.push({ text: text.slice(done) });
  return found;
}

/** The whole name, not the beginning of a longer word. */
function standsAt(text: string, at: number, name: string): boolean {
  const end = at + name.length;
  return fold(text.slice(at, end)) === fold(name) && !WORD.test(text.charAt(end));
}

function fold(text: string): string {
  return text.toLocaleLowerCase();
}
