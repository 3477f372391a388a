// A list of names with their values, and a time with its distance from now.

import type { ReactNode } from "react";

import { dateTime, distance } from "./format.ts";

export function Facts({ facts }: { facts: readonly (readonly [name: string, value: ReactNode])[] }) {
  return (
    <dl className="facts">
      {facts.map(([name, value]) => (
        <div key={name} data-testid="fact" data-name={name}>
          <dt>{name}</dt>
          <dd>{value}</dd>
        </div>
      ))}
    </dl>
  );
}

/** A time in milliseconds since 1970. `none` stands in place of a missing one. */
export function Time({ at, none = "–" }: { at: number | null | undefined; none?: string }) {
  if (at === null || at === undefined) return <span className="faint">{none}</span>;
  return <time dateTime={new Date(at).toISOString()}>{dateTime(at)}</time>;
}

/** The same as a distance from now. */
export function Age({ at, none = "–" }: { at: number | null | undefined; none?: string }) {
  if (at === null || at === undefined) return <span className="faint">{none}</span>;
  return (
    <time dateTime={new Date(at).toISOString()} title={dateTime(at)}>
      {distance(at, Date.now())}
    </time>
  );
}
