// The fields that say when a ban or mute ends.

const HOUR = 3_600_000;
const LENGTHS = {
  hour: ["In an hour", HOUR],
  day: ["In a day", 24 * HOUR],
  week: ["In a week", 7 * 24 * HOUR],
  month: ["In 30 days", 30 * 24 * HOUR],
} as const;
type Length = keyof typeof LENGTHS;

export interface End {
  readonly kind: "none" | "date" | Length;
  /** Of the kind `date`: a local date and time, as the browser's field has it. */
  readonly date: string;
}

/** The end in milliseconds since 1970: undefined without an end, an error for a date in the past. */
export function endOf({ kind, date }: End, now: number): number | undefined | Error {
  if (kind === "none") return undefined;
  if (kind !== "date") return now + LENGTHS[kind][1];
  const at = new Date(date).getTime();
  return at > now ? at : new Error("Choose a date and time in the future.");
}

export function EndFields({ end, onChange }: { end: End; onChange: (end: End) => void }) {
  return (
    <>
      <label className="labelled">
        Ends
        <select
          className="field"
          data-testid="ask-end"
          value={end.kind}
          onChange={(event) => onChange({ ...end, kind: event.target.value as End["kind"] })}
        >
          <option value="none">Never, until somebody lifts it</option>
          {Object.entries(LENGTHS).map(([length, [text]]) => (
            <option key={length} value={length}>
              {text}
            </option>
          ))}
          <option value="date">At a date and time</option>
        </select>
      </label>
      {end.kind === "date" && (
        <label className="labelled">
          Date and time
          <input
            className="field"
            type="datetime-local"
            value={end.date}
            onChange={(event) => onChange({ ...end, date: event.target.value })}
          />
        </label>
      )}
    </>
  );
}
