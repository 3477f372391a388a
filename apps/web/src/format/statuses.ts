// What a user shows as, in words.

import type { Choice, Status } from "../contract.ts";

/** In the order of the menu. */
export const STATUSES: readonly { status: Status; label: string; hint: string }[] = [
  { status: "online", label: "Online", hint: "" },
  { status: "away", label: "Away", hint: "Not at the screen" },
  { status: "busy", label: "Busy", hint: "Please don't disturb" },
  { status: "invisible", label: "Invisible", hint: "Others see you as offline" },
];

/** The longest status text, in characters: the server's default limit. */
export const LONGEST_STATUS_TEXT = 100;

export function statusLabel(status: string): string {
  return STATUSES.find((one) => one.status === status)?.label ?? status;
}

/** The line below a name: empty for who is simply online. */
export function statusLine({ status, text }: { status: string; text?: string | null | undefined }): string {
  const words = text ?? "";
  if (status === "online") return words;
  return words === "" ? statusLabel(status) : `${statusLabel(status)} · ${words}`;
}

/** A text as typed, made fit: one line without blanks around it. */
export function statusText(typed: string): string {
  return [...typed.replace(/\s+/g, " ").trim()].slice(0, LONGEST_STATUS_TEXT).join("");
}

/** A choice with this text, or without one. */
export function choiceOf(status: Status, text: string): Choice {
  return text === "" ? { status } : { status, text };
}
