// The right side: online users of the open room.

import type { Chat } from "../chat/chat.ts";
import type { OnlineUser } from "../contract.ts";
import { statusLine } from "../format/statuses.ts";
import { avatar } from "./avatar.ts";
import { h, Keyed, setText, type Entry } from "./dom.ts";
import { icon } from "./icon.ts";

/** More faces than this say nothing; the rest is a number. */
const MOST_SHOWN = 150;

export function peopleList(chat: Chat, close: () => void): Entry<void> {
  const list = h("ul", { class: "people", testid: "online-list" });
  const keyed = new Keyed<OnlineUser>(list, (user) => person(chat, user));
  const title = h("h2", { class: "section-title" });
  const more = h("p", { class: "people-more" });
  const closer = h(
    "button",
    {
      class: "icon-button people-close",
      attrs: { type: "button", "aria-label": "Close the list of people" },
      on: { click: close },
    },
    icon("close"),
  );
  const element = h(
    "aside",
    { class: "people-pane", attrs: { "aria-label": "People online", id: "people" } },
    h("header", { class: "people-head" }, title, closer),
    list,
    more,
  );
  const update = (): void => {
    const room = chat.rooms.open;
    const users = room && chat.line.state === "online" ? [...room.online.values()] : [];
    users.sort(
      (a, b) =>
        Number(b.userId === chat.me) - Number(a.userId === chat.me) ||
        nameOf(chat, a).localeCompare(nameOf(chat, b)),
    );
    setText(title, users.length === 0 ? "Online" : `Online — ${users.length}`);
    keyed.show(users.slice(0, MOST_SHOWN), (user) => user.userId);
    const hidden = users.length - MOST_SHOWN;
    setText(
      more,
      hidden > 0 ? `and ${hidden} more` : chat.line.state === "online" ? "" : "Not known while offline",
    );
  };
  return { element, update };
}

function person(chat: Chat, first: OnlineUser): Entry<OnlineUser> {
  const name = h("span", { class: "person-name" });
  const you = h("span", { class: "person-you" });
  const says = h("span", { class: "person-says", testid: "person-status" });
  const face = avatar({ userId: first.userId, name: nameOf(chat, first) });
  const dot = h("span", { class: "dot" });
  const words = h("span", { class: "person-words" }, h("span", { class: "person-line" }, name, you), says);
  const element = h(
    "li",
    { class: "person", testid: "online-user", attrs: { "data-user": first.userId } },
    h("span", { class: "face" }, face.element, dot),
    words,
  );
  const update = (user: OnlineUser): void => {
    const shown = nameOf(chat, user);
    face.update({ userId: user.userId, name: shown });
    setText(name, shown);
    name.title = user.userId;
    element.dataset["status"] = dot.dataset["status"] = user.status ?? "online";
    setText(you, user.userId === chat.me ? "you" : "");
    // Besides the dot's colour, every status but plain online is shown in words.
    const line = statusLine({ status: user.status ?? "online", text: user.text });
    setText(says, line);
    says.title = line;
    says.hidden = line === "";
  };
  return { element, update };
}

function nameOf(chat: Chat, user: OnlineUser): string {
  return user.name ?? chat.people.name(user.userId);
}
