// The face of a user without a picture: initials and a colour.

/** Initials of a name, for a face without a picture. */
export function initials(name: string): string {
  const words = name
    .trim()
    .split(/[\s._-]+/)
    .filter((word) => word !== "");
  const chosen = words.length > 1 ? [words[0], words.at(-1)] : words;
  return (
    chosen
      .map((word) => [...(word ?? "")][0] ?? "")
      .join("")
      .toUpperCase() || "?"
  );
}

/** Colours that the style sheet defines as `data-hue`. */
const HUES = 10;

/** A number from 0 to 9 that is always the same for the same user. */
export function hue(userId: string): number {
  let hash = 2166136261;
  for (const char of userId) hash = Math.imul(hash ^ (char.codePointAt(0) ?? 0), 16777619);
  return (hash >>> 0) % HUES;
}
