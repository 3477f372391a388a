// Times and days in the reader's own language and zone.

const MINUTE = 60_000;
const HOUR = 60 * MINUTE;
const DAY = 24 * HOUR;

const clock = new Intl.DateTimeFormat(undefined, { hour: "2-digit", minute: "2-digit" });
const full = new Intl.DateTimeFormat(undefined, { dateStyle: "full", timeStyle: "medium" });
const weekday = new Intl.DateTimeFormat(undefined, { weekday: "long", day: "numeric", month: "long" });
const withYear = new Intl.DateTimeFormat(undefined, {
  weekday: "long",
  day: "numeric",
  month: "long",
  year: "numeric",
});
const shortDate = new Intl.DateTimeFormat(undefined, { day: "numeric", month: "short" });

export function time(at: number): string {
  return clock.format(at);
}

/** The time without "AM" or "PM", for places where a column is narrow and the full time stands near. */
export function bareTime(at: number): string {
  const parts = clock.formatToParts(at).filter(({ type }) => type !== "dayPeriod");
  return parts
    .map(({ value }) => value)
    .join("")
    .trim();
}

export function fullTime(at: number): string {
  return full.format(at);
}

/** A day by its distance from `now`: "Today", "Yesterday", or its date. */
export function day(at: number, now: number): string {
  const distance = Math.round((midnight(now) - midnight(at)) / DAY);
  if (distance === 0) return "Today";
  if (distance === 1) return "Yesterday";
  return (new Date(at).getFullYear() === new Date(now).getFullYear() ? weekday : withYear).format(at);
}

/** A short distance for lists: "now", "5m", "3h", "2d", then the date. */
export function ago(at: number, now: number): string {
  const distance = now - at;
  if (distance < MINUTE) return "now";
  if (distance < HOUR) return `${Math.floor(distance / MINUTE)}m`;
  if (distance < DAY) return `${Math.floor(distance / HOUR)}h`;
  if (distance < 7 * DAY) return `${Math.floor(distance / DAY)}d`;
  return shortDate.format(at);
}

export function sameDay(a: number, b: number): boolean {
  return midnight(a) === midnight(b);
}

function midnight(at: number): number {
  return new Date(at).setHours(0, 0, 0, 0);
}
