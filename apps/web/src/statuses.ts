// The statuses that a user can choose, and their words.

import type { OwnStatus, Status } from "@roomful/client";

/** In the order of the menu. */
export const STATUSES: readonly { status: Status; label: string; hint: string }[] = [
  { status: "online", label: "Online", hint: "" },
  { status: "away", label: "Away", hint: "Not at the screen" },
  { status: "busy", label: "Busy", hint: "Please don't disturb" },
  { status: "invisible", label: "Invisible", hint: "Others see you as offline" },
];

/** The longest status text, in characters: the server's default limit. */
export const LONGEST_STATUS_TEXT = 100;

/** The line below the user's name. */
export function statusLine({ status, text }: OwnStatus): string {
  const label = STATUSES.find((one) => one.status === status)?.label ?? status;
  if (!text) return label;
  return status === "online" ? text : `${label} · ${text}`;
}

/** A typed text as one line without outer blanks. */
export function statusText(typed: string): string {
  return [...typed.replace(/\s+/g, " ").trim()].slice(0, LONGEST_STATUS_TEXT).join("");
}
