// The face of a user without a picture: initials on a colour that is always the same for the same user.

/** Colours defined in the style sheet as `data-hue` 0 to 9. */
const HUES = 10;

export function initials(name: string): string {
  const words = name
    .trim()
    .split(/[\s._-]+/)
    .filter((word) => word !== "");
  const letters = (words.length > 1 ? [words[0], words[words.length - 1]] : words).map(
    (word) => [...(word ?? "")][0] ?? "",
  );
  return letters.join("").toUpperCase() || "?";
}

export function hue(userId: string): number {
  let hash = 2166136261;
  for (const char of userId) hash = Math.imul(hash ^ (char.codePointAt(0) ?? 0), 16777619);
  return (hash >>> 0) % HUES;
}
