// The bell at the head of the page: how many notifications are unread, and the newest of them in a list
// below it.

import type { Chat } from "../chat/chat.ts";
import type { Notice } from "../contract.ts";
import { ago, fullTime } from "../format/times.ts";
import { h, Keyed, setText, type Entry } from "./dom.ts";
import { icon } from "./icon.ts";

export function bell(chat: Chat): Entry<void> {
  const badge = h("span", { class: "bell-badge", testid: "bell-badge", attrs: { "aria-hidden": "true" } });
  const button = h(
    "button",
    {
      class: "icon-button",
      testid: "bell",
      attrs: { type: "button", "aria-expanded": "false", "aria-controls": "notices" },
    },
    icon("bell"),
    badge,
  );
  const list = h("ul", { class: "notices-list", testid: "notices" });
  const keyed = new Keyed<Notice>(list, (notice) => line(chat, notice));
  const none = h("p", { class: "notices-none" }, "Nothing yet.");
  const all = h(
    "button",
    {
      class: "link-button",
      testid: "read-all",
      attrs: { type: "button" },
      on: { click: () => void chat.noticing.read({ all: true }) },
    },
    "Mark all as read",
  );
  const head = h(
    "header",
    { class: "notices-head" },
    h("h2", { class: "section-title" }, "Notifications"),
    all,
  );
  const panel = h(
    "section",
    { class: "notices", attrs: { id: "notices", "aria-label": "Notifications", hidden: true } },
    head,
    list,
    none,
  );
  const element = h("div", { class: "bell" }, button, panel);
  const open = (yes: boolean): void => {
    panel.hidden = !yes;
    button.setAttribute("aria-expanded", String(yes));
  };
  button.addEventListener("click", () => open(panel.hidden === true));
  element.addEventListener("keydown", (event) => {
    if (event.key !== "Escape" || panel.hidden) return;
    event.stopPropagation();
    open(false);
    button.focus();
  });
  element.addEventListener("focusout", ({ relatedTarget }) => {
    if (relatedTarget instanceof Node && !element.contains(relatedTarget)) open(false);
  });
  const update = (): void => {
    const { unread } = chat.notices;
    badge.hidden = all.hidden = unread === 0;
    setText(badge, unread > 99 ? "99+" : String(unread));
    const words = unread > 0 ? `Notifications, ${unread} unread` : "Notifications";
    if (button.title !== words) {
      button.title = words;
      button.setAttribute("aria-label", words);
    }
    none.hidden = chat.notices.all.length > 0;
    keyed.show(chat.notices.all, ({ id }) => id);
  };
  return { element, update };
}

function line(chat: Chat, { id, title, body, at }: Notice): Entry<Notice> {
  const when = h("time", {
    class: "notice-when",
    attrs: { datetime: new Date(at).toISOString(), title: fullTime(at) },
  });
  const button = h(
    "button",
    {
      class: "notice",
      testid: "notice",
      attrs: { type: "button" },
      on: { click: () => button.dataset["unread"] === "true" && void chat.noticing.read({ id }) },
    },
    h("span", { class: "notice-title" }, title),
    when,
    h("span", { class: "notice-body" }, body),
    h("span", { class: "unseen" }),
  );
  const element = h("li", {}, button);
  const update = ({ readAt }: Notice): void => {
    const unread = readAt === undefined;
    button.dataset["unread"] = String(unread);
    setText(button.lastElementChild ?? button, unread ? "Unread. Press to mark as read." : "");
    setText(when, ago(at, Date.now()));
  };
  return { element, update };
}
