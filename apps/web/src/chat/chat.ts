// The chat as the views use it: rooms, connection and what the user can do. Binds the server's words to the
// state; has no DOM.

import { Connection, type LineState } from "../connection.ts";
import type { Clock } from "../clock.ts";
import { failureOf, type Change, type Failure, type JoinAnswer, type Message } from "../contract.ts";
import type { Session } from "../session.ts";
import type { Shelf } from "../storage.ts";
import { Outbox } from "../state/outbox.ts";
import { Notices } from "../state/notices.ts";
import { People } from "../state/people.ts";
import type { Room } from "../state/room.ts";
import { Rooms } from "../state/rooms.ts";
import { Changing } from "./changing.ts";
import { History } from "./history.ts";
import { Inbox } from "./inbox.ts";
import { Joining } from "./joining.ts";
import { Noticing } from "./noticing.ts";
import { Reading } from "./reading.ts";
import { OnlineUsers } from "./online_users.ts";
import { Sending } from "./sending.ts";
import { Showing } from "./showing.ts";
import { Typist } from "./typist.ts";

/** A token that can't be renewed here is spoken of this long before it ends. */
const WARN_MS = 120_000;

const CHANGES = {
  "chat:message_edited": "edited",
  "chat:message_deleted": "deleted",
  "chat:reaction": "reaction",
} as const;

export interface ChatParts {
  session: Session;
  clock: Clock;
  lasting: Shelf;
  perTab: Shelf;
  /** Gets the next token; rejects if there is none. */
  renew: () => Promise<Session>;
  /** The session is over; `why` is for the user. */
  over: (why?: string) => void;
}

export class Chat {
  readonly rooms: Rooms;
  readonly outbox: Outbox;
  readonly people = new People();
  readonly notices = new Notices();
  readonly noticing: Noticing;
  readonly showing: Showing;
  readonly history: History;
  readonly typist: Typist;
  readonly changing: Changing;
  line: { state: LineState; reason?: string | undefined; since: number };
  /** A fault that belongs to no message or room, shown until put away. */
  notice: string | undefined;
  session: Session;
  /** The longest text of a message, in bytes of UTF-8; the server tells its own. */
  textBytes = 16_384;
  /** The most users that one message may mention; likewise. */
  mostMentions = 50;

  private readonly connection: Connection;
  private readonly sending: Sending;
  private readonly reading: Reading;
  private readonly joining: Joining;
  private readonly inbox: Inbox;
  private readonly onlineUsers: OnlineUsers;
  private readonly hearers = new Set<() => void>();
  private readonly arrivals = new Set<(room: Room, message: Message) => void>();
  /** The user looks at the open room; `atEnd`: at its newest messages. */
  private gaze = { visible: true, atEnd: false };
  private renewing = false;
  private callOffRenewal: () => void = () => undefined;

  constructor(private readonly parts: ChatParts) {
    const { clock, session } = parts;
    this.session = session;
    this.line = { state: "connecting", since: clock.now() };
    this.rooms = new Rooms(parts.lasting, `rooms.${session.userId}`);
    this.outbox = new Outbox(parts.perTab, `outbox.${session.userId}`);
    this.people.learn(session.userId, session.name);
    for (const room of this.outbox.rooms) this.rooms.add(room);
    this.connection = new Connection(() => this.session.token, clock, {
      changed: (state, reason) => this.lineChanged(state, reason),
      refused: (failure) => void this.tokenRefused(failure),
    });
    const { request } = this.connection;
    const changed = (): void => this.changed();
    this.history = new History({ request, clock, changed });
    this.reading = new Reading({ request, clock, changed });
    this.typist = new Typist(request, clock);
    this.changing = new Changing({ request, me: () => this.me, failed: (words) => this.tell(words) });
    this.noticing = new Noticing({
      notices: this.notices,
      request,
      clock,
      changed,
      failed: (words) => this.tell(words),
    });
    this.onlineUsers = new OnlineUsers({ rooms: this.rooms, people: this.people, request, clock, changed });
    this.showing = new Showing({
      request,
      chosen: (choice) => this.onlineUsers.showsAs(this.me, choice),
      failed: (words) => this.tell(words),
    });
    const ready = (name: string): boolean => this.rooms.get(name)?.phase === "joined";
    this.sending = new Sending({ outbox: this.outbox, request, clock, ready, changed });
    this.joining = new Joining({ request, clock, changed, entered: (...what) => this.entered(...what) });
    this.inbox = new Inbox({ request, clock, found: (room) => this.found(room) });
    this.listen();
    this.planRenewal();
  }

  get me(): string {
    return this.session.userId;
  }

  start(): void {
    this.connection.resume();
  }

  stop(): void {
    this.sending.stop();
    this.typist.sent();
    this.joining.stop();
    this.callOffRenewal();
    this.connection.close();
  }

  reconnect(): void {
    this.connection.resume();
  }

  signOut(): void {
    this.parts.over();
  }

  /** Calls `hear` after every change; the answer ends it. */
  onChange(hear: () => void): void {
    this.hearers.add(hear);
  }

  /** Calls `hear` for every new message of somebody else. */
  onArrival(hear: (room: Room, message: Message) => void): void {
    this.arrivals.add(hear);
  }

  /** Opens a room, adding it to the list if need be. */
  open(name: string): void {
    const known = this.rooms.get(name);
    const room = this.rooms.add(name);
    if (!room) {
      this.notice = "Your list of rooms is full. Leave one to add another.";
      return this.changed();
    }
    if (this.rooms.openName !== name) {
      const left = this.rooms.open;
      if (left) left.newAfter = undefined;
      this.typist.stop();
      this.rooms.openName = name;
      this.gaze.atEnd = false;
      room.enter();
    }
    if (this.line.state === "online") {
      if (!known || room.phase === "refused") this.enter(room);
      else if (room.phase === "joined") this.onlineUsers.refresh(room);
    }
    this.changed();
  }

  /** Leaves a room and opens its neighbour. */
  async leave(room: Room): Promise<void> {
    if (room.phase === "joined") {
      try {
        await this.connection.request("chat:leave", { room: room.name });
      } catch (thrown) {
        this.notice = `Could not leave ${room.name}: ${failureOf(thrown).message}`;
        return this.changed();
      }
    }
    this.joining.forget(room);
    this.outbox.dropRoom(room.name);
    const next = this.rooms.remove(room.name);
    if (next !== this.rooms.openName) {
      this.rooms.openName = undefined;
      if (next !== undefined) this.open(next);
    }
    this.changed();
  }

  /** Sends what was written. False if it can't be taken now. */
  send(room: Room, text: string, mentions: string[]): boolean {
    if (!this.sending.send(room.name, text, mentions)) {
      this.notice = "Too many messages are waiting to be sent. Wait for the connection, or discard some.";
      this.changed();
      return false;
    }
    room.newAfter = undefined;
    this.typist.sent();
    if (room.timeline.hasNewer) void this.history.latest(room);
    return true;
  }

  /** Begins to rewrite an own message, or stops. */
  rewrite(room: Room, seq: number | undefined): void {
    room.editing = seq;
    this.changed();
  }

  retry(clientId: string, room: string): void {
    this.sending.retry({ clientId, room });
  }

  discard(clientId: string, room: string): void {
    this.outbox.settle({ clientId, room });
    this.changed();
  }

  /** What the user sees of the open room, told by the view. */
  looks(gaze: { visible?: boolean; atEnd?: boolean }): void {
    Object.assign(this.gaze, gaze);
    const room = this.rooms.open;
    if (!room || !this.watched(room)) return;
    const unread = room.unread;
    this.reading.seen(room);
    if (unread !== room.unread) this.changed();
  }

  dismissNotice(): void {
    this.notice = undefined;
    this.changed();
  }

  private tell(notice: string): void {
    this.notice = notice;
    this.changed();
  }

  private watched(room: Room): boolean {
    return room === this.rooms.open && this.gaze.visible && this.gaze.atEnd;
  }

  private changed(): void {
    for (const hear of this.hearers) hear();
  }

  private listen(): void {
    const { on } = this.connection;
    const { now } = this.parts.clock;
    on("session", ({ limits }) => {
      this.textBytes = limits?.textBytes ?? this.textBytes;
      this.mostMentions = limits?.mentions ?? this.mostMentions;
      this.showing.begin();
    });
    on("chat:receive_message", (message) => this.received(message));
    for (const [event, type] of Object.entries(CHANGES) as [keyof typeof CHANGES, Change["type"]][]) {
      on(event, ({ room, ...change }) => {
        this.rooms.get(room)?.change({ type, ...change }, this.me);
        this.changed();
      });
    }
    on("chat:typing_start", ({ room, userId }) => {
      if (userId === this.me) return;
      this.rooms.get(room)?.typing.start(userId, now());
      this.changed();
    });
    on("chat:typing_stop", ({ room, userId }) => {
      this.rooms.get(room)?.typing.stop(userId);
      this.changed();
    });
    on("chat:message_read", ({ room: name, userId, seq }) => {
      const room = this.rooms.get(name);
      if (userId === this.me) room?.readElsewhere(seq, this.me);
      else room?.mark(userId, seq);
      this.changed();
    });
    // Only of rooms that are not on the list: all others are joined.
    on("chat:unread", ({ room }) => void this.found(room));
    on("chat:member_joined", ({ room }) => this.onlineUsers.came(room));
    on("chat:member_left", ({ room, userId }) => this.onlineUsers.went(userId, room));
    on("presence:online", () => this.onlineUsers.came());
    on("presence:status", ({ userId, ...choice }) =>
      userId === this.me ? this.showing.told(choice) : this.onlineUsers.showsAs(userId, choice),
    );
    on("presence:offline", ({ userId }) => this.onlineUsers.went(userId));
    on("notification:receive", (notice) => this.notices.receive(notice) && this.changed());
    // Another device has read some, and does not say which.
    on("notification:unread", () => void this.noticing.load());
    on("error", (failure) => {
      this.notice = failure.message;
      this.changed();
    });
  }

  private received(message: Message): void {
    const room = this.rooms.get(message.room);
    if (!room) return;
    this.people.learn(message.userId, message.name);
    const own = message.userId === this.me;
    const news = message.seq > room.timeline.cursor;
    room.receive(message, this.me, this.watched(room), this.gaze.atEnd || room !== this.rooms.open);
    this.outbox.settle({ clientId: own ? message.clientId : undefined, room: room.name, seq: message.seq });
    if (this.watched(room)) this.reading.seen(room);
    if (news && !own) for (const hear of this.arrivals) hear(room, message);
    this.changed();
  }

  private entered(room: Room, answer: JoinAnswer, resuming: boolean): void {
    const reset = room.joined(answer, resuming, this.me);
    for (const message of answer.messages) this.people.learn(message.userId, message.name);
    for (const message of answer.messages) {
      if (message.userId === this.me) this.outbox.settle({ clientId: message.clientId, room: room.name });
    }
    this.outbox.settleUpTo(room.name, answer.head);
    if (room === this.rooms.open && room.newAfter === undefined && !resuming) room.enter();
    // Far behind: start at the end again, unless the reader stands somewhere in the middle.
    const readsBack = room === this.rooms.open && !this.gaze.atEnd && !reset;
    if (reset || (answer.more && resuming && !readsBack)) void this.history.latest(room);
    if (room === this.rooms.open) this.onlineUsers.refresh(room);
    this.sending.wake(room.name);
    this.looks({});
  }

  /** The user is a member of this room: it is on their list. False if the list is full. */
  private found(name: string): boolean {
    if (this.rooms.get(name)) return true;
    const room = this.rooms.add(name);
    if (room) this.enter(room);
    return room !== undefined;
  }

  private enter(room: Room): void {
    room.phase = "waiting";
    room.problem = undefined;
    this.joining.enter(room);
  }

  private lineChanged(state: LineState, reason?: string): void {
    const before = this.line.state;
    if (before !== state || reason !== this.line.reason) {
      this.line = { state, reason, since: before === state ? this.line.since : this.parts.clock.now() };
    }
    if (state === "online") {
      const open = this.rooms.open;
      void this.inbox.load();
      void this.noticing.load();
      this.joining.start([...(open ? [open] : []), ...this.rooms.all.filter((room) => room !== open)]);
    } else {
      this.joining.stop();
      for (const room of this.rooms.all) room.disconnected();
      // The server ends the line of a token that ran out: with a new one all goes on.
      if (state === "ended" && this.session.renewable && this.session.expiresAt <= this.parts.clock.now())
        void this.renewThenResume();
    }
    this.changed();
  }

  private async tokenRefused(failure: Failure): Promise<void> {
    if (this.session.renewable && failure.code === "token_expired") return this.renewThenResume();
    // A server that was set up anew has another secret: the name still stands, the token does not.
    if (this.session.renewable && !this.renewing) return this.renewThenResume();
    this.parts.over(
      failure.code === "token_expired"
        ? "Your token has expired. Sign in again."
        : `You were signed out: ${failure.message}`,
    );
  }

  private async renewThenResume(): Promise<void> {
    if (this.renewing) return this.parts.over("You were signed out. Sign in again.");
    this.renewing = true;
    try {
      this.take(await this.parts.renew());
      this.connection.resume();
      // One refusal of a fresh token is enough to give up.
      this.parts.clock.after(5_000, () => (this.renewing = false));
    } catch (thrown) {
      this.parts.over(failureOf(thrown).message);
    }
  }

  private take(session: Session): void {
    if (session.userId !== this.session.userId)
      throw new Error("Your name now belongs to another user. Sign in again.");
    this.session = session;
    this.planRenewal();
  }

  /** Replaces the token on the live socket before it runs out. */
  private planRenewal(): void {
    this.callOffRenewal();
    const left = this.session.expiresAt - this.parts.clock.now();
    if (!this.session.renewable) {
      this.callOffRenewal = this.parts.clock.after(left - WARN_MS, () => {
        this.notice = "Your token is about to expire. Sign in with a new one to stay.";
        this.changed();
      });
      return;
    }
    this.callOffRenewal = this.parts.clock.after(
      Math.max(1_000, left - Math.min(60_000, left / 4)),
      () => void this.refresh(),
    );
  }

  private async refresh(): Promise<void> {
    try {
      const next = await this.parts.renew();
      if (this.line.state === "online")
        await this.connection.request("token:refresh", { token: next.token });
      this.take(next);
    } catch {
      // The token in use may have time left, and its end leads to a renewal as well.
      if (this.session.expiresAt - this.parts.clock.now() > 2_000)
        this.callOffRenewal = this.parts.clock.after(2_000, () => void this.refresh());
    }
  }
}
