// The page of a signed-in user: its three columns, drawing schedule, keys, address and title.

import type { Chat } from "../chat/chat.ts";
import { announcer } from "./announcer.ts";
import { banner } from "./banner.ts";
import { bell } from "./bell.ts";
import { Composer } from "./composer.ts";
import { h, setText, type Entry } from "./dom.ts";
import { icon } from "./icon.ts";
import { MessageList } from "./message_list.ts";
import { peopleList } from "./people_list.ts";
import { roomList } from "./room_list.ts";
import { LONGEST_NAME } from "../state/rooms.ts";

/** Hidden pages get no animation frames; they are drawn this often for the title's sake. */
const HIDDEN_MS = 500;
/** "5m" and "Today" grow old by themselves. */
const TICK_MS = 30_000;

/** Builds the page; the answer takes it down again. */
export function shell(chat: Chat, root: HTMLElement): () => void {
  const life = new AbortController();
  const { signal } = life;
  let due = false;
  const draw = (): void => {
    if (due || signal.aborted) return;
    due = true;
    const work = (): void => {
      due = false;
      if (!signal.aborted) for (const part of drawn) part.update();
    };
    if (document.hidden) setTimeout(work, HIDDEN_MS);
    else requestAnimationFrame(work);
  };

  const frame = h("div", { class: "shell", attrs: { "data-pane": "none" } });
  // Drawers take the focus when they open, and give it back.
  let opener: Element | null = null;
  const pane = (name: "rooms" | "people" | "none"): void => {
    const next = frame.dataset["pane"] === name ? "none" : name;
    if (next !== "none") opener = document.activeElement;
    frame.dataset["pane"] = next;
    if (next === "none") return opener instanceof HTMLElement ? opener.focus() : undefined;
    (next === "rooms" ? rooms : people).element
      .querySelector<HTMLElement>("[aria-current], .people-close, a")
      ?.focus();
  };
  const go = (room: string): void => {
    frame.dataset["pane"] = "none";
    const hash = `#${encodeURIComponent(room)}`;
    if (location.hash === hash) chat.open(room);
    else location.hash = hash;
    composer.field.focus();
  };
  const messages = new MessageList(chat);
  const composer = new Composer(chat, () => messages.toEnd());
  const rooms = roomList({ chat, go });
  const people = peopleList(chat, () => pane("none"));
  const strip = banner(chat, (ms) => void setTimeout(draw, ms));
  const head = header(chat, pane);
  const typing = typingLine(chat, draw);
  const nowhere = h(
    "div",
    { class: "empty nowhere" },
    icon("chat"),
    h("h3", {}, "No room is open"),
    h("p", {}, "Pick a room from the list, or add one by its name."),
  );
  const main = h(
    "main",
    { class: "main" },
    head.element,
    strip.element,
    messages.element,
    nowhere,
    typing.element,
    composer.element,
  );
  const veil = h("div", { class: "veil", on: { click: () => pane("none") } });
  frame.append(rooms.element, main, people.element, veil, announcer(chat));
  const stage: Entry<void> = {
    element: main,
    update: () => {
      const open = chat.rooms.open !== undefined;
      nowhere.hidden = open;
      messages.element.hidden = !open;
    },
  };
  const drawn: Entry<void>[] = [stage, rooms, head, strip, typing, composer, messages, people, title(chat)];

  chat.onChange(draw);
  root.replaceChildren(frame);
  // Back and forward walk through the rooms; an address names one.
  const follow = (): void => {
    frame.dataset["pane"] = "none";
    const named = addressed();
    if (named !== "") chat.open(named);
  };
  const look = (): void => {
    chat.looks({ visible: !document.hidden });
    draw();
  };
  window.addEventListener("hashchange", follow, { signal });
  window.addEventListener("online", () => chat.line.state !== "online" && chat.reconnect(), { signal });
  document.addEventListener("visibilitychange", look, { signal });
  const escape = (): void => (frame.dataset["pane"] === "none" ? messages.toEnd() : pane("none"));
  document.addEventListener("keydown", (event) => keys(event, chat, go, escape), { signal });
  rooms.element.addEventListener(
    "click",
    (event) =>
      event.target instanceof Element &&
      event.target.closest(".room-link") &&
      (frame.dataset["pane"] = "none"),
  );
  const tick = setInterval(draw, TICK_MS);

  const first = addressed() || chat.rooms.all[0]?.name;
  if (first !== undefined) {
    history.replaceState(null, "", `#${encodeURIComponent(first)}`);
    chat.open(first);
  }
  look();
  return () => {
    clearInterval(tick);
    life.abort();
    document.title = "Roomful";
  };
}

/**
 * The room named by the address, as it stands there: rooms made elsewhere may have names that can't be
 * typed here.
 */
function addressed(): string {
  try {
    return decodeURIComponent(location.hash.slice(1)).trim().slice(0, LONGEST_NAME);
  } catch {
    return "";
  }
}

/** Alt with an arrow walks through the rooms; Escape closes a drawer or goes to the latest message. */
function keys(event: KeyboardEvent, chat: Chat, go: (room: string) => void, escape: () => void): void {
  if (event.key === "Escape") return escape();
  if (!event.altKey || (event.key !== "ArrowUp" && event.key !== "ArrowDown")) return;
  event.preventDefault();
  const names = chat.rooms.all.map((room) => room.name);
  const step = event.key === "ArrowDown" ? 1 : -1;
  const next = names[(names.indexOf(chat.rooms.openName ?? "") + step + names.length) % names.length];
  if (next !== undefined) go(next);
}

function header(chat: Chat, pane: (name: "rooms" | "people") => void): Entry<void> {
  const name = h("h1", { class: "room-title", testid: "room-title" });
  const count = h("span", {});
  const menu = h(
    "button",
    {
      class: "icon-button only-narrow",
      testid: "open-rooms",
      attrs: { type: "button", "aria-label": "Rooms", "aria-controls": "rooms" },
      on: { click: () => pane("rooms") },
    },
    icon("menu"),
  );
  const dot = h("span", { class: "menu-dot" });
  menu.append(dot);
  const people = h(
    "button",
    {
      class: "count-button",
      testid: "open-people",
      attrs: { type: "button", "aria-controls": "people" },
      on: { click: () => pane("people") },
    },
    icon("people"),
    count,
  );
  const leave = h(
    "button",
    { class: "leave-button", testid: "leave-room", attrs: { type: "button", title: "Leave this room" } },
    "Leave",
  );
  const bells = bell(chat);
  leave.addEventListener(
    "click",
    () =>
      chat.rooms.open &&
      void chat
        .leave(chat.rooms.open)
        .then(() => history.replaceState(null, "", `#${encodeURIComponent(chat.rooms.openName ?? "")}`)),
  );
  const element = h(
    "header",
    { class: "room-head" },
    menu,
    name,
    h("span", { class: "spread" }),
    bells.element,
    people,
    leave,
  );
  const update = (): void => {
    bells.update();
    const room = chat.rooms.open;
    setText(name, room?.name ?? "Roomful");
    people.hidden = leave.hidden = room === undefined;
    const online = chat.line.state === "online" ? (room?.online.size ?? 0) : 0;
    setText(count, String(online));
    people.setAttribute("aria-label", `${online} online`);
    dot.hidden = !chat.rooms.all.some((other) => other !== room && other.unread > 0);
  };
  return { element, update };
}

function typingLine(chat: Chat, draw: () => void): Entry<void> {
  const words = h("span", {});
  const dots = h(
    "span",
    { class: "typing-dots", attrs: { "aria-hidden": "true" } },
    h("i", {}),
    h("i", {}),
    h("i", {}),
  );
  const element = h("div", { class: "typing", testid: "typing", attrs: { role: "status" } }, dots, words);
  let timer: ReturnType<typeof setTimeout> | undefined;
  const update = (): void => {
    const room = chat.rooms.open;
    const names = room?.typing.active(Date.now()).map((userId) => chat.people.name(userId)) ?? [];
    dots.hidden = names.length === 0;
    setText(words, typingWords(names));
    clearTimeout(timer);
    const end = room?.typing.nextEnd();
    if (end !== undefined) timer = setTimeout(draw, Math.max(50, end - Date.now()));
  };
  return { element, update };
}

function typingWords(names: string[]): string {
  if (names.length === 0) return "";
  if (names.length === 1) return `${names[0]} is typing`;
  if (names.length <= 3)
    return `${names.slice(0, -1).join(", ")} and ${names[names.length - 1]} are typing`;
  return "Several people are typing";
}

function title(chat: Chat): Entry<void> {
  const update = (): void => {
    const { unread, open } = chat.rooms;
    document.title = `${unread > 0 ? `(${unread > 99 ? "99+" : unread}) ` : ""}${open ? `${open.name} · ` : ""}Roomful`;
  };
  return { element: document.body, update };
}
