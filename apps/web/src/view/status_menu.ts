// The user at the foot of the room list: face, name, and status. A press opens the status menu.

import type { Chat } from "../chat/chat.ts";
import {
  choiceOf,
  LONGEST_STATUS_TEXT,
  STATUSES,
  statusLabel,
  statusLine,
  statusText,
} from "../format/statuses.ts";
import { avatar } from "./avatar.ts";
import { h, setText, type Entry } from "./dom.ts";
import { icon } from "./icon.ts";

const LINES = { connecting: "Connecting…", offline: "Offline", ended: "Disconnected" };

export function statusMenu(chat: Chat): Entry<void> {
  const line = h("span", { class: "me-line", testid: "connection-state" });
  const dot = h("span", { class: "dot" });
  const { userId, name } = chat.session;
  const face = h("span", { class: "face" }, avatar({ userId, name }).element, dot);
  const words = h("span", { class: "me-text" }, h("span", { class: "me-name", testid: "me" }, name), line);
  const button = h(
    "button",
    {
      class: "me-button",
      testid: "status-button",
      attrs: { type: "button", "aria-expanded": "false", "aria-controls": "statuses" },
    },
    face,
    words,
    h("span", { class: "unseen" }, "Set your status"),
  );
  const panel = offer(chat, () => open(false));
  const element = h("div", { class: "me-status" }, panel.element, button);
  const open = (yes: boolean): void => {
    const within = panel.element.contains(document.activeElement);
    panel.element.hidden = !yes;
    button.setAttribute("aria-expanded", String(yes));
    if (yes) panel.update();
    else if (within) button.focus();
  };
  button.addEventListener("click", () => open(panel.element.hidden === true));
  element.addEventListener("keydown", (event) => {
    if (event.key !== "Escape" || panel.element.hidden) return;
    event.stopPropagation();
    open(false);
  });
  element.addEventListener("focusout", ({ relatedTarget }) => {
    // The panel takes the focus of whatever in it can't, so without a target the user has pressed somewhere
    // else.
    const focusLeft =
      relatedTarget instanceof Node ? !element.contains(relatedTarget) : document.hasFocus();
    if (focusLeft) open(false);
  });
  const update = (): void => {
    const { state } = chat.line;
    const { choice } = chat.showing;
    line.dataset["state"] = state;
    element.dataset["status"] = dot.dataset["status"] = state === "online" ? choice.status : "offline";
    const shown = state === "online" ? statusLine(choice) || statusLabel(choice.status) : LINES[state];
    setText(line, shown);
    line.title = shown;
    button.disabled = state !== "online";
    if (button.disabled) open(false);
    panel.mark();
  };
  return { element, update };
}

/**
 * `update` fills it with what is chosen now; `mark` only shows what that is, and leaves what is being
 * typed.
 */
function offer(
  chat: Chat,
  close: () => void,
): { element: HTMLElement; update: () => void; mark: () => void } {
  const field = h("input", {
    class: "field status-field",
    testid: "status-text",
    attrs: {
      type: "text",
      maxlength: LONGEST_STATUS_TEXT,
      placeholder: "What are you up to?",
      "aria-label": "Status text",
      autocomplete: "off",
    },
  });
  const options = STATUSES.map(({ status, label, hint }) => {
    const choose = (): void => {
      close();
      void chat.showing.choose(choiceOf(status, statusText(field.value)));
    };
    return h(
      "button",
      {
        class: "status-option",
        testid: "status-option",
        attrs: { type: "button", "data-status": status, "aria-pressed": "false" },
        on: { click: choose },
      },
      h("span", { class: "dot", attrs: { "data-status": status } }),
      h(
        "span",
        { class: "status-words" },
        h("span", {}, label),
        hint !== "" && h("span", { class: "status-hint" }, hint),
      ),
      icon("check"),
    );
  });
  const clear = h(
    "button",
    { class: "link-button", testid: "status-clear", attrs: { type: "button" } },
    "Clear",
  );
  const form = h(
    "form",
    { class: "status-form" },
    field,
    h("button", { class: "button primary", testid: "status-save", attrs: { type: "submit" } }, "Save"),
  );
  form.addEventListener("submit", (event) => {
    event.preventDefault();
    close();
    void chat.showing.choose(choiceOf(chat.showing.choice.status, statusText(field.value)));
  });
  clear.addEventListener("click", () => {
    close();
    void chat.showing.choose({ status: chat.showing.choice.status });
  });
  const head = h(
    "header",
    { class: "status-head" },
    h("h2", { class: "section-title" }, "Your status"),
    clear,
  );
  const element = h(
    "section",
    {
      class: "statuses",
      testid: "statuses",
      attrs: { id: "statuses", "aria-label": "Your status", tabindex: -1, hidden: true },
    },
    head,
    form,
    ...options,
  );
  const mark = (): void => {
    const { status, text } = chat.showing.choice;
    for (const option of options)
      option.setAttribute("aria-pressed", String(option.dataset["status"] === status));
    clear.hidden = !text;
  };
  const update = (): void => {
    field.value = chat.showing.choice.text ?? "";
    mark();
  };
  return { element, update, mark };
}
