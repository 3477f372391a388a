// Speaks new messages of the open room to screen readers, one line at a time, without reading old pages
// aloud.

import type { Chat } from "../chat/chat.ts";
import { h } from "./dom.ts";

/** A screen reader cannot follow a flood: within this time, announce only the number. */
const GATHER_MS = 1_000;
const LONGEST = 200;

export function announcer(chat: Chat): HTMLElement {
  const element = h("div", { class: "unseen", attrs: { "aria-live": "polite", role: "status" } });
  let heard: string[] = [];
  chat.onArrival((room, message) => {
    if (room !== chat.rooms.open) return;
    heard.push(`${message.name ?? chat.people.name(message.userId)}: ${message.text.slice(0, LONGEST)}`);
    if (heard.length > 1) return;
    setTimeout(() => {
      element.textContent = heard.length > 3 ? `${heard.length} new messages` : heard.join(". ");
      heard = [];
    }, GATHER_MS);
  });
  return element;
}
