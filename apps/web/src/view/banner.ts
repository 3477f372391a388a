// The strip above the messages: a lost connection, or a fault that belongs to nothing else.

import type { Chat } from "../chat/chat.ts";
import { h, setText, type Entry } from "./dom.ts";
import { icon } from "./icon.ts";

/** A short break is not worth a word. */
const PATIENCE_MS = 1_200;

export function banner(chat: Chat, later: (ms: number) => void): Entry<void> {
  const text = h("span", { class: "banner-text" });
  const button = h("button", { class: "button quiet", testid: "banner-action", attrs: { type: "button" } });
  const element = h(
    "div",
    { class: "banner", testid: "banner", attrs: { role: "status", hidden: true } },
    icon("alert"),
    text,
    button,
  );
  let act: () => void = () => undefined;
  button.addEventListener("click", () => act());
  const show = (kind: string, words: string, label: string, action: () => void): void => {
    element.hidden = false;
    element.dataset["kind"] = kind;
    setText(text, words);
    setText(button, label);
    act = action;
  };
  const update = (): void => {
    const { state, reason, since } = chat.line;
    const waited = Date.now() - since;
    if (state === "ended")
      return show("ended", reason ?? "The server ended this connection.", "Connect again", () =>
        chat.reconnect(),
      );
    if (state !== "online" && waited < PATIENCE_MS) later(PATIENCE_MS - waited + 10);
    else if (state === "connecting")
      return show(
        "connecting",
        reason ? "The server can't be reached. Still trying…" : "Connecting…",
        "Try now",
        () => chat.reconnect(),
      );
    else if (state === "offline")
      return show(
        "offline",
        "Connection lost. Reconnecting — what you write is sent when it is back.",
        "Try now",
        () => chat.reconnect(),
      );
    if (chat.notice !== undefined)
      return show("notice", chat.notice, "Dismiss", () => chat.dismissNotice());
    element.hidden = true;
  };
  return { element, update };
}
