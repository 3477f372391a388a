// Times and days in the reader's language and time zone.

const MINUTE = 60_000;
const HOUR = 60 * MINUTE;
const DAY = 24 * HOUR;

const FORMATS = {
  time: { hour: "2-digit", minute: "2-digit" },
  full: { dateStyle: "full", timeStyle: "medium" },
  day: { weekday: "long", day: "numeric", month: "long" },
  dayOfYear: { weekday: "long", day: "numeric", month: "long", year: "numeric" },
  date: { day: "numeric", month: "short" },
  moment: { dateStyle: "medium", timeStyle: "short" },
} satisfies Record<string, Intl.DateTimeFormatOptions>;

const formats = new Map<string, Intl.DateTimeFormat>();

/** Formatters are slow to make: one for each kind and language. */
function format(kind: keyof typeof FORMATS, at: number, locale: string | undefined): string {
  const key = `${kind} ${locale ?? ""}`;
  let found = formats.get(key);
  if (!found) formats.set(key, (found = new Intl.DateTimeFormat(locale, FORMATS[kind])));
  return found.format(at);
}

export const time = (at: number, locale?: string): string => format("time", at, locale);
export const fullTime = (at: number, locale?: string): string => format("full", at, locale);

/** A day by its distance from `now`: today, yesterday, or its date. */
export function day(
  at: number,
  now: number,
  words: { today: string; yesterday: string },
  locale?: string,
): string {
  const distance = Math.round((midnight(now) - midnight(at)) / DAY);
  if (distance === 0) return words.today;
  if (distance === 1) return words.yesterday;
  const sameYear = new Date(at).getFullYear() === new Date(now).getFullYear();
  return format(sameYear ? "day" : "dayOfYear", at, locale);
}

/** A short time for lists: the time of today, else the date. */
export function shortTime(at: number, now: number, locale?: string): string {
  return format(sameDay(at, now) ? "time" : "date", at, locale);
}

/** When something ends: the time of today, else date and time. Undefined for what has no end. */
export function endTime(at: number | undefined, now: number, locale?: string): string | undefined {
  if (at === undefined) return undefined;
  return format(sameDay(at, now) ? "time" : "moment", at, locale);
}

export function sameDay(a: number, b: number): boolean {
  return midnight(a) === midnight(b);
}

function midnight(at: number): number {
  return new Date(at).setHours(0, 0, 0, 0);
}
