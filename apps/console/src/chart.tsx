// A line chart of one figure over the last hours. Its label and the lowest and highest value say it in text.

import { useState, type PointerEvent } from "react";

import { duration, number, timeOfDay } from "./format.ts";

export interface Sample {
  readonly at: number;
  readonly value: number;
}

const WIDTH = 600;
const HEIGHT = 96;
/** Room for the line's own width. */
const EDGE = 2;

export interface ChartProps {
  readonly label: string;
  /** What stands behind a value. */
  readonly unit?: string;
  /** Oldest first. */
  readonly samples: readonly Sample[];
}

export function Chart({ label, unit = "", samples }: ChartProps) {
  const [chosen, setChosen] = useState<number>();
  const first = samples[0];
  const last = samples.at(-1);
  if (!first || !last) return null;
  const values = samples.map(({ value }) => value);
  const [lowest, highest] = [Math.min(...values), Math.max(...values)];
  const span = duration(last.at - first.at);
  const text = (value: number) => `${number(value)}${unit}`;
  const figures = `last ${text(last.value)}, lowest ${text(lowest)}, highest ${text(highest)}`;
  const shown = (chosen === undefined ? undefined : samples[chosen]) ?? last;
  const choose = (event: PointerEvent<SVGSVGElement>) => {
    const box = event.currentTarget.getBoundingClientRect();
    const share = Math.min(Math.max((event.clientX - box.left) / box.width, 0), 1);
    setChosen(nearest(samples, first.at + share * (last.at - first.at)));
  };
  const { x, y } = scales(first.at, last.at, highest);
  const drawn = line(samples, x, y);
  return (
    <figure className="chart" data-testid="chart">
      <figcaption>
        <span className="chart-label">{label}</span>
        <span className="chart-value">{text(shown.value)}</span>
        <span className="chart-at">{chosen === undefined ? "now" : timeOfDay(shown.at)}</span>
      </figcaption>
      <svg
        viewBox={`0 0 ${WIDTH} ${HEIGHT}`}
        preserveAspectRatio="none"
        role="img"
        aria-label={`${label} over ${span}: ${figures}`}
        onPointerMove={choose}
        onPointerLeave={() => setChosen(undefined)}
      >
        <path className="chart-ground" d={`M0 ${HEIGHT - EDGE}H${WIDTH}`} />
        <path className="chart-area" d={`${drawn}V${HEIGHT}H${x(first.at)}Z`} />
        <path className="chart-line" d={drawn} />
        {chosen !== undefined && <path className="chart-cursor" d={`M${x(shown.at)} 0V${HEIGHT}`} />}
      </svg>
      <p className="chart-range">
        <span>{span === "0 s" ? "just started" : `${span} ago`}</span>
        <span>
          lowest {text(lowest)}, highest {text(highest)}
        </span>
      </p>
    </figure>
  );
}

type Scale = (value: number) => number;

/** Maps times and values to the drawing, which starts at zero. */
function scales(from: number, to: number, highest: number): { x: Scale; y: Scale } {
  return {
    x: (at) => round(to === from ? WIDTH : ((at - from) / (to - from)) * WIDTH),
    y: (value) => round(HEIGHT - EDGE - (highest === 0 ? 0 : (value / highest) * (HEIGHT - 2 * EDGE))),
  };
}

const round = (value: number) => Math.round(value * 10) / 10;

function line(samples: readonly Sample[], x: Scale, y: Scale): string {
  return samples.map(({ at, value }, index) => `${index === 0 ? "M" : "L"}${x(at)} ${y(value)}`).join("");
}

/** The index of the sample whose time is nearest. */
export function nearest(samples: readonly Sample[], at: number): number {
  let best = 0;
  for (const [index, sample] of samples.entries())
    if (Math.abs(sample.at - at) < Math.abs((samples[best]?.at ?? 0) - at)) best = index;
  return best;
}
