// The messages of the open room in their scroller: stays at the end while the reader is there, keeps the
// place when not, asks for more history near either edge.

import type { Chat } from "../chat/chat.ts";
import { rows, type Row } from "../format/rows.ts";
import type { Room } from "../state/room.ts";
import { avatar } from "./avatar.ts";
import { h, Keyed, setText, type Entry } from "./dom.ts";
import { icon } from "./icon.ts";
import { rowElement } from "./message.ts";
import { MessageActions } from "./message_actions.ts";

/** This close to the end counts as being there. */
const END_PX = 60;
/** This close to an edge the next page is fetched. */
const EDGE_PX = 700;
const MOST_READERS_SHOWN = 3;

export class MessageList implements Entry<void> {
  readonly element: HTMLElement;
  private readonly scroller: HTMLElement;
  private readonly list: HTMLOListElement;
  private readonly empty: HTMLElement;
  private readonly older: HTMLElement;
  private readonly readBy: HTMLElement;
  private readonly jump: HTMLButtonElement;
  private readonly actions: MessageActions;
  private rows: Keyed<Row>;
  private room: Room | undefined;
  /** The room was opened and not yet put in its place. */
  private placing = true;
  private atEnd = true;

  constructor(private readonly chat: Chat) {
    this.list = h("ol", { class: "messages", testid: "message-list" });
    this.rows = this.freshRows();
    this.actions = new MessageActions(chat, this.list, () => this.room);
    this.empty = h("div", { class: "empty", testid: "empty" });
    this.older = h("div", { class: "history-edge", testid: "history-edge" });
    this.readBy = h("div", { class: "read-by", testid: "read-by" });
    this.scroller = h(
      "div",
      { class: "scroller", testid: "scroller", attrs: { role: "log", "aria-live": "off", tabindex: 0 } },
      this.older,
      this.empty,
      this.list,
      this.readBy,
    );
    this.jump = h("button", {
      class: "jump",
      testid: "jump-latest",
      attrs: { type: "button", hidden: true },
      on: { click: () => this.toEnd() },
    });
    this.element = h("div", { class: "message-pane" }, this.scroller, this.jump);
    this.scroller.addEventListener("scroll", () => this.scrolled(), { passive: true });
    new ResizeObserver(() => this.atEnd && !this.placing && this.snap()).observe(this.scroller);
  }

  /** Shows the newest message, fetching it if it is not held. */
  toEnd(): void {
    this.atEnd = true;
    if (this.room?.timeline.hasNewer) void this.chat.history.latest(this.room).then(() => this.snap());
    else this.snap();
  }

  update(): void {
    const room = this.chat.rooms.open;
    if (room !== this.room) this.change(room);
    if (!room) return;
    const anchor = this.atEnd ? undefined : this.anchor();
    const pending = room.timeline.hasNewer ? [] : this.chat.outbox.of(room.name);
    const shown = rows(room.timeline.messages, pending, this.chat.me, newAfter(room), missed(room));
    this.rows.show(shown, (row) => row.key);
    this.actions.update();
    this.showEdges(room, shown.length === 0);
    this.showReaders(room);
    this.place(anchor, shown.length > 0);
    this.showJump(room);
    this.fetchNearEdges();
  }

  private change(room: Room | undefined): void {
    this.room = room;
    this.list.replaceChildren();
    this.rows = this.freshRows();
    this.placing = true;
    this.atEnd = true;
    this.scroller.setAttribute("aria-label", room ? `Messages in ${room.name}` : "Messages");
  }

  private freshRows(): Keyed<Row> {
    return new Keyed<Row>(this.list, (row) => rowElement(this.chat, () => this.room, row));
  }

  private place(anchor: { element: HTMLElement; top: number } | undefined, filled: boolean): void {
    if (this.placing) {
      if (!filled) return this.tellGaze(this.room?.phase === "joined");
      this.placing = false;
      const line = this.list.querySelector<HTMLElement>(".new-line");
      if (line) this.scroller.scrollTop = line.offsetTop - 96;
      else this.snap();
      return this.measure();
    }
    if (anchor?.element.isConnected) {
      this.scroller.scrollTop += anchor.element.getBoundingClientRect().top - anchor.top;
      this.measure();
    } else if (this.atEnd) this.snap();
    else this.measure();
  }

  /**
   * The first message the reader sees, which must not move under their eyes; lines between messages do
   * move.
   */
  private anchor(): { element: HTMLElement; top: number } | undefined {
    const edge = this.scroller.getBoundingClientRect().top;
    for (const element of this.list.querySelectorAll<HTMLElement>(".message")) {
      const { top, bottom } = element.getBoundingClientRect();
      if (bottom > edge) return { element, top };
    }
    return undefined;
  }

  private snap(): void {
    this.scroller.scrollTop = this.scroller.scrollHeight;
    this.measure();
  }

  private measure(): void {
    const { scrollHeight, scrollTop, clientHeight } = this.scroller;
    this.atEnd = scrollHeight - scrollTop - clientHeight < END_PX && this.room?.timeline.hasNewer !== true;
    this.tellGaze(this.atEnd);
  }

  private tellGaze(atEnd: boolean): void {
    this.chat.looks({ atEnd });
  }

  private scrolled(): void {
    if (this.placing || !this.room) return;
    this.measure();
    this.showJump(this.room);
    this.fetchNearEdges();
  }

  private fetchNearEdges(): void {
    // A page may hold only changes of older messages, which are further back.
    if (this.room && this.placing && this.room.timeline.hasOlder && !this.room.timeline.first)
      return void this.chat.history.older(this.room);
    if (!this.room || this.placing) return;
    const { scrollHeight, scrollTop, clientHeight } = this.scroller;
    if (scrollTop < EDGE_PX && this.room.timeline.hasOlder) void this.chat.history.older(this.room);
    else if (scrollHeight - scrollTop - clientHeight < EDGE_PX) void this.chat.history.newer(this.room);
  }

  private showJump(room: Room): void {
    const away = !this.atEnd && !this.placing;
    this.jump.hidden = !away;
    if (!away) return;
    const label = room.unread > 0 ? `${room.unread} new` : "Latest";
    if (this.jump.textContent !== label) this.jump.replaceChildren(icon("down"), label);
  }

  private showEdges(room: Room, nothing: boolean): void {
    const loading = this.chat.history.state(room);
    setText(
      this.older,
      nothing
        ? ""
        : loading === "older"
          ? "Loading earlier messages…"
          : room.timeline.hasOlder
            ? ""
            : `This is the beginning of ${room.name}.`,
    );
    this.empty.hidden = !nothing;
    if (!nothing) return;
    const view = room.phase + room.name + String(room.timeline.hasOlder) + (room.problem?.message ?? "");
    if (this.empty.dataset["view"] === view) return;
    this.empty.dataset["view"] = view;
    this.empty.replaceChildren(...emptyState(this.chat, room));
  }

  /** Who has read the user's own last message, if it is the end of what they said. */
  private showReaders(room: Room): void {
    const own = room.timeline.hasNewer
      ? undefined
      : room.timeline.messages.findLast((message) => message.userId === this.chat.me && !message.deleted);
    const readers = own
      ? room.readers(own.seq).map((userId) => ({ userId, name: this.chat.people.name(userId) }))
      : [];
    this.readBy.hidden = readers.length === 0;
    if (!own || readers.length === 0) return;
    const names = readers.slice(0, MOST_READERS_SHOWN).map(({ name }) => name);
    const rest = readers.length - names.length;
    const words = `Read by ${names.join(", ")}${rest > 0 ? ` and ${rest} more` : ""}`;
    const host = this.list.querySelector(`[data-own="true"][data-seq="${own.seq}"] .message-main`);
    if (host && this.readBy.parentElement !== host) host.append(this.readBy);
    if (this.readBy.dataset["words"] === words) return;
    this.readBy.dataset["words"] = words;
    const faces = readers.slice(0, MOST_READERS_SHOWN).map((reader) => avatar(reader, "tiny").element);
    this.readBy.replaceChildren(h("span", { class: "faces" }, ...faces), words);
  }
}

/** Where the line "new" stands, if that place is held. */
function newAfter({ newAfter: seq, timeline }: Room): number | undefined {
  const before = seq === undefined || (timeline.hasOlder && seq < (timeline.first?.seq ?? 0));
  return before ? undefined : seq;
}

/** How much was missed while away, if the line "new" stands where that began. */
function missed({ newAfter: seq, away }: Room): number {
  return away !== undefined && away.after === seq ? away.missed : 0;
}

function emptyState(chat: Chat, room: Room): Node[] {
  if (room.phase === "refused") {
    const actions = h(
      "div",
      { class: "empty-actions" },
      h(
        "button",
        { class: "button", attrs: { type: "button" }, on: { click: () => chat.open(room.name) } },
        "Try again",
      ),
      h(
        "button",
        { class: "button quiet", attrs: { type: "button" }, on: { click: () => void chat.leave(room) } },
        "Take off the list",
      ),
    );
    return [
      icon("lock"),
      h("h3", {}, `You can't enter ${room.name}`),
      h("p", {}, room.problem?.message ?? ""),
      actions,
    ];
  }
  if (room.phase === "waiting" || room.timeline.hasOlder)
    return [
      h(
        "div",
        { class: "skeleton", attrs: { "aria-label": "Loading messages" } },
        ...Array.from({ length: 6 }, () => h("div", { class: "bone" })),
      ),
    ];
  return [
    icon("chat"),
    h("h3", {}, `It is quiet in ${room.name}`),
    h("p", {}, "Write the first message below."),
  ];
}
