// The settings in force of the node that answers: how to read, show and filter them.

import { useConsole } from "./console.ts";
import { usePoll, type Polled } from "./poll.ts";

export interface Setting {
  readonly key: string;
  /** Absent for a secret. */
  readonly value?: unknown;
  /** Of a secret: whether it is set. */
  readonly set?: boolean;
  readonly source: "default" | "file" | "environment" | "argument";
}

export interface Warning {
  /** The key of the setting that is unsafe. */
  readonly key: string;
  readonly text: string;
}

export interface Settings {
  readonly node: string;
  readonly settings: readonly Setting[];
  readonly warnings: readonly Warning[];
}

/** Milliseconds between two readings: settings change with a reload only. */
const PAUSE = 60_000;

/** Polls the settings. Without the scope for them there are none. */
export function useSettings(): Polled<Settings> {
  const { api, access } = useConsole();
  const allowed = access.can("get", "/settings");
  return usePoll<Settings>(
    "settings",
    async (signal) =>
      allowed ? api.get<Settings>("/v1/settings", { signal }) : { node: "", settings: [], warnings: [] },
    () => PAUSE,
  );
}

/** The value as text; empty if there is none. */
export function valueText({ value, set }: Setting): string {
  if (set !== undefined) return set ? "set" : "not set";
  return Array.isArray(value) ? value.join(", ") : String(value ?? "");
}

/** Whether each word of `filter` is in the key or the value. */
export function matches(setting: Setting, filter: string): boolean {
  const text = `${setting.key} ${valueText(setting)}`.toLowerCase();
  const words = filter.toLowerCase().split(/\s+/);
  return words.every((word) => text.includes(word));
}
