// The left side: rooms with unread counts, a field to add one, the user at the foot.

import type { Chat } from "../chat/chat.ts";
import { ago } from "../format/times.ts";
import type { Room } from "../state/room.ts";
import { LONGEST_NAME, roomName } from "../state/rooms.ts";
import { h, Keyed, setText, type Entry } from "./dom.ts";
import { icon } from "./icon.ts";
import { statusMenu } from "./status_menu.ts";
import { themeToggle } from "./theme.ts";

export interface RoomListParts {
  chat: Chat;
  /** Opens a room, through the address so that "back" works. */
  go: (room: string) => void;
}

export function roomList({ chat, go }: RoomListParts): Entry<void> {
  const list = h("ul", { class: "rooms", testid: "room-list" });
  const keyed = new Keyed<Room>(list, (room) => roomItem(chat, room));
  const me = statusMenu(chat);
  const signOut = h(
    "button",
    {
      class: "icon-button",
      testid: "sign-out",
      attrs: { type: "button", title: "Sign out", "aria-label": "Sign out" },
      on: { click: () => chat.signOut() },
    },
    icon("leave"),
  );
  const element = h(
    "nav",
    { class: "sidebar", attrs: { "aria-label": "Rooms", id: "rooms" } },
    h(
      "header",
      { class: "sidebar-head" },
      h("span", { class: "mark small" }, icon("chat")),
      h("span", { class: "brand" }, "Roomful"),
    ),
    h("h2", { class: "section-title" }, "Rooms"),
    list,
    addRoom(go),
    h("footer", { class: "me" }, me.element, themeToggle(), signOut),
  );
  const update = (): void => {
    keyed.show(chat.rooms.all, (room) => room.name);
    me.update();
  };
  return { element, update };
}

function roomItem(chat: Chat, { name }: Room): Entry<Room> {
  const preview = h("span", { class: "room-preview" });
  const when = h("span", { class: "room-when" });
  const badge = h("span", { class: "badge", testid: "unread-badge" });
  const glyph = h("span", { class: "room-glyph", attrs: { "aria-hidden": "true" } }, "#");
  const link = h(
    "a",
    { class: "room-link", attrs: { href: `#${encodeURIComponent(name)}` } },
    glyph,
    h("span", { class: "room-name" }, name),
    when,
    preview,
    badge,
  );
  const element = h("li", { testid: "room-item", attrs: { "data-room": name } }, link);
  const update = (room: Room): void => {
    const open = chat.rooms.open === room;
    element.dataset["open"] = String(open);
    if (open) link.setAttribute("aria-current", "page");
    else link.removeAttribute("aria-current");
    const { latest, unread, mentions } = room;
    element.dataset["unread"] = String(unread);
    element.dataset["mentions"] = String(mentions);
    const who =
      latest && (latest.userId === chat.me ? "You" : (latest.name ?? chat.people.name(latest.userId)));
    // Only the beginning is ever visible; a long text need not be laid out.
    setText(
      preview,
      room.phase === "refused"
        ? "Can't be entered"
        : latest
          ? `${who}: ${latest.deleted ? "message deleted" : latest.text.slice(0, 120)}`
          : "No messages yet",
    );
    setText(when, latest ? ago(latest.at, Date.now()) : "");
    badge.hidden = unread === 0;
    setText(badge, (mentions > 0 ? "@" : "") + (unread > 99 ? "99+" : String(unread)));
    badge.setAttribute(
      "aria-label",
      mentions > 0 ? `${unread} unread, ${mentions} of them mention you` : `${unread} unread`,
    );
  };
  return { element, update };
}

function addRoom(go: (room: string) => void): HTMLElement {
  const field = h("input", {
    class: "add-field",
    testid: "add-room",
    attrs: {
      type: "text",
      maxlength: LONGEST_NAME + 1,
      placeholder: "Join or create a room",
      "aria-label": "Join or create a room",
      autocomplete: "off",
      spellcheck: "false",
    },
  });
  const form = h(
    "form",
    { class: "add-room" },
    h(
      "button",
      {
        class: "icon-button",
        testid: "add-room-submit",
        attrs: { type: "submit", title: "Add room", "aria-label": "Add room" },
      },
      icon("plus"),
    ),
    field,
  );
  form.addEventListener("submit", (event) => {
    event.preventDefault();
    const name = roomName(field.value);
    if (name === "") return field.focus();
    field.value = "";
    go(name);
  });
  return form;
}
