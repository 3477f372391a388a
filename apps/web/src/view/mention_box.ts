// Names offered above the composer while one is being typed behind an "@". The field keeps the focus; arrow
// keys walk, Enter or Tab takes the marked one, Escape puts the list away.

import type { Chat } from "../chat/chat.ts";
import { beginning, matching, type Beginning, type Person } from "../format/mentions.ts";
import type { Room } from "../state/room.ts";
import { avatar } from "./avatar.ts";
import { h, setText } from "./dom.ts";

const MOST_OFFERED = 8;

export class MentionBox {
  readonly element: HTMLElement;
  private readonly list = h("ul", {
    class: "mention-list",
    testid: "mention-list",
    attrs: { id: "mention-list", role: "listbox", "aria-label": "People to mention" },
  });
  private readonly count = h("span", { class: "unseen", attrs: { role: "status" } });
  private offered: Person[] = [];
  private marked = 0;
  private place: Beginning | undefined;
  /** Where the user put the list away: it stays away while they type the same name. */
  private refusedAt: number | undefined;

  constructor(
    private readonly chat: Chat,
    private readonly field: HTMLTextAreaElement,
    private readonly room: () => Room | undefined,
  ) {
    this.element = h("div", { class: "mention-box" }, this.list, this.count);
    field.setAttribute("aria-autocomplete", "list");
    this.close();
  }

  /** The text or the caret has changed. */
  look(): void {
    const { selectionStart, selectionEnd, value } = this.field;
    const place = selectionStart === selectionEnd ? beginning(value, selectionStart) : undefined;
    if (place?.from !== this.refusedAt) this.refusedAt = undefined;
    const room = this.room();
    if (!place || !room || this.refusedAt !== undefined) return this.close();
    const before = this.offered[this.marked]?.userId;
    this.place = place;
    this.offered = matching(othersIn(this.chat, room), place.typed, MOST_OFFERED);
    if (this.offered.length === 0) return this.close();
    this.marked = Math.max(
      0,
      this.offered.findIndex(({ userId }) => userId === before),
    );
    this.show();
  }

  close(): void {
    this.offered = [];
    this.place = undefined;
    this.list.hidden = true;
    this.list.replaceChildren();
    setText(this.count, "");
    this.field.removeAttribute("aria-controls");
    this.field.removeAttribute("aria-activedescendant");
  }

  /** True if the key was for the list. */
  key(event: KeyboardEvent): boolean {
    if (
      this.list.hidden ||
      event.isComposing ||
      event.altKey ||
      event.ctrlKey ||
      event.metaKey ||
      event.shiftKey
    )
      return false;
    if (event.key === "ArrowDown") this.mark(this.marked + 1);
    else if (event.key === "ArrowUp") this.mark(this.marked - 1);
    else if (event.key === "Enter" || event.key === "Tab") this.take(this.offered[this.marked]);
    else if (event.key === "Escape") {
      this.refusedAt = this.place?.from;
      this.close();
    } else return false;
    event.preventDefault();
    event.stopPropagation();
    return true;
  }

  private take(person: Person | undefined): void {
    const room = this.room();
    if (!person || !room || !this.place) return;
    const { from, typed } = this.place;
    room.chosen.set(person.name, person.userId);
    this.close();
    this.field.setRangeText(`@${person.name} `, from, from + 1 + typed.length, "end");
    this.field.focus();
    this.field.dispatchEvent(new Event("input", { bubbles: true }));
  }

  private mark(at: number): void {
    this.marked = (at + this.offered.length) % this.offered.length;
    this.show();
  }

  private show(): void {
    this.list.replaceChildren(...this.offered.map((person, at) => this.option(person, at)));
    this.list.hidden = false;
    this.list.children[this.marked]?.scrollIntoView({ block: "nearest" });
    this.field.setAttribute("aria-controls", "mention-list");
    this.field.setAttribute("aria-activedescendant", `mention-${this.marked}`);
    setText(
      this.count,
      this.offered.length === 1 ? "1 person to mention" : `${this.offered.length} people to mention`,
    );
  }

  private option(person: Person, at: number): HTMLElement {
    const status = this.room()?.online.get(person.userId)?.status ?? "offline";
    const element = h(
      "li",
      {
        class: "mention-option",
        testid: "mention-option",
        attrs: {
          id: `mention-${at}`,
          role: "option",
          "aria-selected": String(at === this.marked),
          "data-user": person.userId,
        },
      },
      h(
        "span",
        { class: "face" },
        avatar(person).element,
        h("span", { class: "dot", attrs: { "data-status": status } }),
      ),
      h("span", { class: "mention-name" }, person.name),
      status !== "online" && h("span", { class: "mention-status" }, status),
    );
    // The field keeps the focus.
    element.addEventListener("pointerdown", (event) => event.preventDefault());
    element.addEventListener("click", () => this.take(person));
    return element;
  }
}

/**
 * The others in a room as far as the page knows them: who is online, and then who has lately said
 * something.
 */
export function othersIn(chat: Chat, room: Room): Person[] {
  const ids = new Set(room.online.keys());
  for (const { userId } of [...room.timeline.messages].reverse()) ids.add(userId);
  ids.delete(chat.me);
  return [...ids].map((userId) => ({
    userId,
    name: room.online.get(userId)?.name ?? chat.people.name(userId),
  }));
}
