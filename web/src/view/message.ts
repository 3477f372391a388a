// One line of the message list, and the lines between: days, and "new".

import type { Chat } from "../chat/chat.ts";
import { parts } from "../format/links.ts";
import type { Line, Row } from "../format/rows.ts";
import { bareTime, day, fullTime, time } from "../format/times.ts";
import { avatar } from "./avatar.ts";
import { h, setText, type Entry } from "./dom.ts";

export function rowElement(chat: Chat, room: () => string, row: Row): Entry<Row> {
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
  const element = h("li", { class: "new-line", testid: "new-line", attrs: { role: "separator" } }, h("span", {}, "New"));
  return { element, update: () => undefined };
}

function messageLine(chat: Chat, room: () => string, first: Line): Entry<Row> {
  const name = h("span", { class: "author" });
  const when = h("time", { class: "when" });
  const body = h("div", { class: "text" });
  const fate = h("div", { class: "fate" });
  const gutter = h("div", { class: "gutter", attrs: { "aria-hidden": "true" } });
  const element = h("li", { class: "message", testid: "message", attrs: { "data-own": String(first.own) } }, gutter, h("div", { class: "message-main" }, h("div", { class: "message-head" }, name, when), body, fate));
  const slot = { name, when, body, fate, gutter, element };
  let shown: unknown[] = [];
  const update = (row: Row): void => {
    if (row.kind !== "message") return;
    const { line, heads } = row;
    const known = line.name ?? chat.people.name(line.userId);
    const now = [line.seq, line.state, line.text, line.reason, heads, known, line.at];
    if (now.every((part, i) => part === shown[i]) && shown.length > 0) return;
    shown = now;
    fill(slot, line, heads, known);
    fateOf(slot.fate, chat, room, line);
  };
  return { element, update };
}

type Slot = Record<"name" | "when" | "body" | "fate" | "gutter" | "element", HTMLElement>;

function fill({ name, when, body, gutter, element }: Slot, line: Line, heads: boolean, known: string): void {
  element.dataset["state"] = line.state;
  element.dataset["heads"] = String(heads);
  if (line.seq !== undefined) element.dataset["seq"] = String(line.seq);
  if (line.clientId !== undefined) element.dataset["clientId"] = line.clientId;
  setText(name, known);
  stamp(when, line.at, time(line.at));
  body.replaceChildren(...bodyOf(line.text));
  if (heads) gutter.replaceChildren(avatar({ userId: line.userId, name: known }).element);
  else gutter.replaceChildren(stamp(h("time", { class: "when-aside" }), line.at, bareTime(line.at)));
}

function stamp(element: HTMLElement, at: number, words: string): HTMLElement {
  element.setAttribute("datetime", new Date(at).toISOString());
  element.title = fullTime(at);
  setText(element, words);
  return element;
}

function bodyOf(text: string): (Node | string)[] {
  return parts(text).map(({ text: words, href }) =>
    href === undefined ? words : h("a", { attrs: { href, target: "_blank", rel: "noopener noreferrer nofollow" } }, words),
  );
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
