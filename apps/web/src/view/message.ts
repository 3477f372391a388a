// One line of the message list, and the lines between: days, and "new".

import type { Chat } from "../chat/chat.ts";
import { parts } from "../format/links.ts";
import { pieces } from "../format/mentions.ts";
import type { Line, Row } from "../format/rows.ts";
import { bareTime, day, fullTime, time } from "../format/times.ts";
import type { Room } from "../state/room.ts";
import { avatar } from "./avatar.ts";
import { h, setText, type Entry } from "./dom.ts";
import { editor } from "./editor.ts";
import { reactionChips } from "./reactions.ts";

export function rowElement(chat: Chat, room: () => Room | undefined, row: Row): Entry<Row> {
  if (row.kind === "day") return dayLine(row.at);
  if (row.kind === "new") return newLine();
  return messageLine(chat, room, row.line);
}

function dayLine(at: number): Entry<Row> {
  const label = h("span", {});
  const element = h("li", { class: "day-line", attrs: { role: "separator" } }, label);
  // "Today" turns into "Yesterday" while the page stays open.
  return { element, update: () => setText(label, day(at, Date.now())) };
}

function newLine(): Entry<Row> {
  const label = h("span", {});
  const element = h("li", { class: "new-line", testid: "new-line", attrs: { role: "separator" } }, label);
  const update = (row: Row): void => {
    if (row.kind === "new") setText(label, row.missed > 0 ? `You were away: ${row.missed} missed` : "New");
  };
  return { element, update };
}

function messageLine(chat: Chat, room: () => Room | undefined, first: Line): Entry<Row> {
  const name = h("span", { class: "author" });
  const when = h("time", { class: "when" });
  const body = h("div", { class: "text" });
  const fate = h("div", { class: "fate" });
  const chips = h("div", {
    class: "reactions",
    testid: "reactions",
    attrs: { role: "group", "aria-label": "Reactions" },
  });
  const gutter = h("div", { class: "gutter", attrs: { "aria-hidden": "true" } });
  const main = h(
    "div",
    { class: "message-main" },
    h("div", { class: "message-head" }, name, when),
    body,
    chips,
    fate,
  );
  const element = h(
    "li",
    { class: "message", testid: "message", attrs: { "data-own": String(first.own), tabindex: -1 } },
    gutter,
    main,
  );
  const slot = { name, when, body, fate, gutter, element };
  let shown: unknown[] = [];
  const update = (row: Row): void => {
    if (row.kind !== "message") return;
    const { line, heads } = row;
    const { message } = line;
    const known = line.name ?? chat.people.name(line.userId);
    const editing = message !== undefined && room()?.editing === message.seq;
    const named = message?.mentions?.map((userId) => chat.people.name(userId)).join();
    const now = [
      named,
      line.seq,
      line.state,
      line.text,
      line.reason,
      heads,
      known,
      line.at,
      message?.editedAt,
      message?.deleted,
      message?.reactions,
      editing,
    ];
    if (now.every((part, i) => part === shown[i]) && shown.length > 0) return;
    const edited = shown[shown.length - 1] === true;
    shown = now;
    // An open editor keeps its field and text, whatever else happens to the message.
    if (!(edited && editing)) fill(slot, line, heads, known, chat);
    if (editing && !edited) body.replaceChildren(...startEditing(chat, room, line));
    chips.replaceChildren(...(message ? reactionChips(chat, message) : []));
    fateOf(slot.fate, chat, () => room()?.name ?? "", line);
  };
  return { element, update };
}

function startEditing(chat: Chat, room: () => Room | undefined, { message }: Line): Node[] {
  const home = room();
  return message && home ? [editor(chat, message, () => chat.rewrite(home, undefined))] : [];
}

type Slot = Record<"name" | "when" | "body" | "fate" | "gutter" | "element", HTMLElement>;

function fill(
  { name, when, body, gutter, element }: Slot,
  line: Line,
  heads: boolean,
  known: string,
  chat: Chat,
): void {
  const mentions = line.message?.mentions ?? line.mentions ?? [];
  const named = mentions.map((userId) => chat.people.name(userId));
  element.dataset["state"] = line.state;
  element.dataset["heads"] = String(heads);
  if (line.seq !== undefined) element.dataset["seq"] = String(line.seq);
  if (line.clientId !== undefined) element.dataset["clientId"] = line.clientId;
  setText(name, known);
  stamp(when, line.at, time(line.at));
  body.replaceChildren(
    ...(line.message?.deleted
      ? [h("span", { class: "gone" }, "This message was deleted")]
      : bodyOf(line.text, named)),
    ...editedMark(line),
  );
  element.dataset["deleted"] = String(line.message?.deleted === true);
  element.dataset["mentioned"] = String(mentions.includes(chat.me));
  if (heads) gutter.replaceChildren(avatar({ userId: line.userId, name: known }).element);
  else gutter.replaceChildren(stamp(h("time", { class: "when-aside" }), line.at, bareTime(line.at)));
}

function stamp(element: HTMLElement, at: number, words: string): HTMLElement {
  element.setAttribute("datetime", new Date(at).toISOString());
  element.title = fullTime(at);
  setText(element, words);
  return element;
}

function editedMark({ message }: Line): Node[] {
  if (message?.editedAt === undefined) return [];
  return [
    h(
      "span",
      { class: "edited", testid: "edited", attrs: { title: `Edited ${fullTime(message.editedAt)}` } },
      " (edited)",
    ),
  ];
}

/** Addresses become links; the names of those mentioned stand out. */
function bodyOf(text: string, named: string[]): (Node | string)[] {
  return parts(text).flatMap(({ text: words, href }) =>
    href === undefined
      ? pieces(words, named).map(nameOrText)
      : [h("a", { attrs: { href, target: "_blank", rel: "noopener noreferrer nofollow" } }, words)],
  );
}

function nameOrText({ text, name }: { text: string; name?: string }): Node | string {
  return name === undefined ? text : h("span", { class: "mention", testid: "mention" }, text);
}

function fateOf(element: HTMLElement, chat: Chat, room: () => string, line: Line): void {
  const { clientId, state, reason } = line;
  element.hidden = state === "sent";
  if (clientId === undefined || state === "sent") return element.replaceChildren();
  if (state === "sending") return element.replaceChildren(h("span", { class: "sending" }, "Sending…"));
  const act = (label: string, testid: string, work: () => void): HTMLElement =>
    h("button", { class: "link-button", testid, attrs: { type: "button" }, on: { click: work } }, label);
  element.replaceChildren(
    h("span", { class: "not-sent", attrs: { role: "alert" } }, `Not sent. ${reason ?? ""}`.trim()),
    act("Retry", "retry", () => chat.retry(clientId, room())),
    act("Discard", "discard", () => chat.discard(clientId, room())),
  );
}
