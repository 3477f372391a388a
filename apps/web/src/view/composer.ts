// Where messages are written. Enter sends, Shift+Enter breaks the line; each room keeps its own draft.

import type { Chat } from "../chat/chat.ts";
import { mentioned } from "../format/mentions.ts";
import type { Room } from "../state/room.ts";
import { h, setText, type Entry } from "./dom.ts";
import { icon } from "./icon.ts";
import { MentionBox, othersIn } from "./mention_box.ts";

/** From here on the space left is shown. */
const SHOW_FROM = 0.8;

export class Composer implements Entry<void> {
  readonly element: HTMLFormElement;
  readonly field: HTMLTextAreaElement;
  private readonly submit: HTMLButtonElement;
  private readonly space: HTMLElement;
  private readonly mentions: MentionBox;
  private room: Room | undefined;

  constructor(
    private readonly chat: Chat,
    private readonly sent: () => void,
  ) {
    this.field = h("textarea", {
      class: "composer-field",
      testid: "composer",
      attrs: { rows: 1, "aria-describedby": "composer-left", enterkeyhint: "send" },
    });
    this.submit = h(
      "button",
      {
        class: "send",
        testid: "send",
        attrs: { type: "submit", "aria-label": "Send", title: "Send (Enter)" },
      },
      icon("send"),
    );
    this.space = h("span", { class: "composer-left", attrs: { id: "composer-left", role: "status" } });
    this.mentions = new MentionBox(chat, this.field, () => this.room);
    this.element = h(
      "form",
      { class: "composer" },
      this.mentions.element,
      h("div", { class: "composer-box" }, this.field, this.submit),
      this.space,
    );
    this.element.addEventListener("submit", (event) => {
      event.preventDefault();
      this.send();
    });
    this.field.addEventListener("keydown", (event) => {
      if (this.mentions.key(event)) return;
      // While an input method composes, Enter picks a character.
      if (event.key !== "Enter" || event.shiftKey || event.isComposing) return;
      event.preventDefault();
      this.send();
    });
    this.field.addEventListener("input", () => this.typed());
    // The caret moves without the text: by keys, by the pointer.
    for (const event of ["keyup", "click"]) this.field.addEventListener(event, () => this.mentions.look());
    this.field.addEventListener("blur", () => {
      this.mentions.close();
      this.chat.typist.stop();
    });
  }

  update(): void {
    const room = this.chat.rooms.open;
    this.element.hidden = !room || room.phase === "refused";
    if (!room || room === this.room) return;
    this.room = room;
    this.mentions.close();
    this.field.value = room.draft;
    this.field.placeholder = `Message ${room.name}`;
    this.field.setAttribute("aria-label", `Message ${room.name}`);
    this.fit();
  }

  private typed(): void {
    if (!this.room) return;
    this.room.draft = this.field.value;
    if (this.field.value.trim() === "") this.chat.typist.stop();
    else this.chat.typist.typed(this.room.name);
    this.mentions.look();
    this.fit();
  }

  private send(): void {
    const text = this.field.value.trim();
    if (!this.room || text === "" || bytes(text) > this.chat.textBytes) return;
    const mentions = mentioned(
      text,
      this.room.chosen,
      othersIn(this.chat, this.room),
      this.chat.mostMentions,
    );
    if (!this.chat.send(this.room, text, mentions)) return;
    this.field.value = "";
    this.room.draft = "";
    this.room.chosen.clear();
    this.mentions.close();
    this.fit();
    this.sent();
  }

  private fit(): void {
    this.field.style.height = "auto";
    this.field.style.height = `${this.field.scrollHeight}px`;
    const text = this.field.value.trim();
    const most = this.chat.textBytes;
    // A character has at most three bytes here, so a short text need not be measured.
    const used = text.length > most / 4 ? bytes(text) : text.length;
    this.submit.disabled = text === "" || used > most;
    const left = most - used;
    setText(
      this.space,
      used < most * SHOW_FROM
        ? ""
        : left >= 0
          ? `${left} characters left`
          : `Too long by ${-left} characters. Shorten it to send.`,
    );
    this.space.dataset["over"] = String(left < 0);
  }
}

function bytes(text: string): number {
  return new TextEncoder().encode(text).length;
}
