// What can be done with a message: one small bar that goes to the message under the pointer or the focus.
// Messages are walked through with the arrow keys; only one of them stands in the tab order.

import type { Chat } from "../chat/chat.ts";
import type { Message } from "../contract.ts";
import type { Room } from "../state/room.ts";
import { h } from "./dom.ts";
import { icon, type IconName } from "./icon.ts";
import { SIGNS } from "./reactions.ts";

export class MessageActions {
  private readonly bar = h("div", {
    class: "actions",
    testid: "actions",
    attrs: { role: "toolbar", "aria-label": "Message actions" },
  });
  /** The message that the bar stands at, and the one that Tab leads to. */
  private host: HTMLElement | undefined;
  private stop: HTMLElement | undefined;

  constructor(
    private readonly chat: Chat,
    private readonly list: HTMLElement,
    private readonly room: () => Room | undefined,
  ) {
    // A bar that has the focus stays: a pointer in passing must not take a choice away.
    const held = (): boolean => this.bar.contains(document.activeElement);
    list.addEventListener("pointerover", (event) => !held() && this.goTo(lineOf(event.target)));
    list.addEventListener("pointerleave", () => !held() && this.goTo(lineOf(document.activeElement)));
    list.addEventListener("focusin", (event) => {
      const line = lineOf(event.target);
      this.goTo(line);
      if (line) this.tabTo(line);
    });
    list.addEventListener(
      "focusout",
      ({ relatedTarget }) =>
        relatedTarget instanceof Node && !list.contains(relatedTarget) && this.goTo(undefined),
    );
    list.addEventListener("keydown", (event) => this.walk(event));
  }

  /** The messages have changed: the bar may stand at one that is gone, deleted or being edited. */
  update(): void {
    if (this.host && (!this.host.isConnected || !this.open(this.host))) this.goTo(undefined);
    if (!this.stop?.isConnected)
      this.tabTo(this.list.querySelector<HTMLElement>(".message:last-of-type") ?? undefined);
  }

  private goTo(line: HTMLElement | undefined): void {
    if (line === this.host) return;
    this.host = line && this.open(line) ? line : undefined;
    if (!this.host) return this.bar.remove();
    this.offer();
    this.host.append(this.bar);
  }

  private tabTo(line: HTMLElement | undefined): void {
    if (this.stop === line) return;
    if (this.stop) this.stop.tabIndex = -1;
    this.stop = line;
    if (line) line.tabIndex = 0;
  }

  /** The message of a line if anything can be done with it. */
  private open(line: HTMLElement): Message | undefined {
    const room = this.room();
    const seq = Number(line.dataset["seq"]);
    const message =
      line.dataset["state"] === "sent" && room?.editing !== seq
        ? room?.timeline.messages.find((m) => m.seq === seq)
        : undefined;
    return message?.deleted ? undefined : message;
  }

  private offer(): void {
    const own = this.host?.dataset["own"] === "true";
    this.show("", [
      this.button("smile", "React", "react", () => this.offerSigns()),
      ...(own
        ? [
            this.button("pencil", "Edit", "edit", () => this.edit()),
            this.button("bin", "Delete", "delete", () => this.askToDelete()),
          ]
        : []),
    ]);
  }

  private offerSigns(): void {
    this.show(
      "",
      SIGNS.map(({ emoji, name }) =>
        h(
          "button",
          {
            class: "icon-button sign",
            testid: "sign",
            attrs: { type: "button", "aria-label": name, title: name, "data-emoji": emoji },
            on: { click: () => this.done((message) => void this.chat.changing.react(message, emoji)) },
          },
          emoji,
        ),
      ),
    );
    this.focusFirst();
  }

  private askToDelete(): void {
    const word = (label: string, testid: string, kind: string, work: () => void): HTMLElement =>
      h(
        "button",
        { class: `button ${kind}`, testid, attrs: { type: "button" }, on: { click: work } },
        label,
      );
    this.show("Delete this message?", [
      word("Delete", "delete-sure", "danger", () =>
        this.done((message) => void this.chat.changing.delete(message)),
      ),
      word("Keep", "delete-keep", "quiet", () => this.back()),
    ]);
    this.focusFirst();
  }

  private edit(): void {
    const message = this.host && this.open(this.host);
    const room = this.room();
    this.goTo(undefined);
    if (message && room) this.chat.rewrite(room, message.seq);
  }

  private done(work: (message: Message) => void): void {
    const message = this.host && this.open(this.host);
    this.back();
    if (message) work(message);
  }

  /** From a choice back to the bar as it was, with the focus on the message. */
  private back(): void {
    this.host?.focus();
    this.offer();
  }

  private show(words: string, children: HTMLElement[]): void {
    this.bar.replaceChildren(...(words ? [h("span", { class: "actions-words" }, words)] : []), ...children);
  }

  private focusFirst(): void {
    this.bar.querySelector("button")?.focus();
  }

  private button(name: IconName, label: string, testid: string, work: () => void): HTMLElement {
    return h(
      "button",
      {
        class: "icon-button",
        testid,
        attrs: { type: "button", "aria-label": label, title: label },
        on: { click: work },
      },
      icon(name),
    );
  }

  private walk(event: KeyboardEvent): void {
    if (event.key === "Escape" && this.bar.contains(document.activeElement)) {
      this.back();
      event.stopPropagation();
      return;
    }
    const step =
      event.key === "ArrowUp"
        ? "previousElementSibling"
        : event.key === "ArrowDown"
          ? "nextElementSibling"
          : undefined;
    const line =
      event.target instanceof HTMLElement && event.target.classList.contains("message")
        ? event.target
        : undefined;
    if (!step || !line || event.altKey) return;
    let next = line[step];
    while (next && !next.classList.contains("message")) next = next[step];
    event.preventDefault();
    if (next instanceof HTMLElement) next.focus();
  }
}

function lineOf(target: EventTarget | null): HTMLElement | undefined {
  return (target instanceof Element && target.closest<HTMLElement>(".message")) || undefined;
}
