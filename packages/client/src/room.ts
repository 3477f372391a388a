// One room as the app sees it: an immutable snapshot of messages, members and marks, and the user's actions.

import { Burst } from "./burst.ts";
import type { ClientEvents } from "./contract.generated.ts";
import {
  RequestError,
  failureOf,
  type Change,
  type Draft,
  type Failure,
  type GetHistory,
  type JoinAnswer,
  type LogAnswer,
  type Message,
  type Moderated,
  type ModerationOrder,
  type Page,
  type RoomAnswer,
  type Standing,
  type ServerEvents,
} from "./contract.ts";
import type { ReadMarks } from "./inbox.ts";
import type { LawCounts } from "./laws.ts";
import { SIGNED_OUT } from "./outbox.ts";
import { patiently } from "./patience.ts";
import { RestrictionKeeper, UNRESTRICTED, type ModerationAct, type Restrictions } from "./restrictions.ts";
import { RoomCache } from "./room_cache.ts";
import { RoomLog, type Entry } from "./room_log.ts";
import { RoomMembers } from "./room_members.ts";
import type { RoomOptions } from "./room_options.ts";
import { OUTSIDE, type RoomSnapshot } from "./room_snapshot.ts";
import { SanctionList } from "./sanction_list.ts";
import { MemoryStorage } from "./storage.ts";
import { ObservableStore } from "./store.ts";
import { Timer } from "./timer.ts";
import { TypingUsers } from "./typing.ts";
import { unsentBeside } from "./unsent_messages.ts";

/** Messages of a room that are kept across reloads. */
const MOST_SAVED = 200;
/** Messages in the first page of a room. */
const PAGE = 50;
/** Messages in a page of older ones. */
const OLDER_PAGE = 100;
/** Messages in a page on the way to a far message: the server's limit. */
const JUMP_PAGE = 200;
/** Entries in a page of a catch-up: the server's limit. */
const CATCH_UP_PAGE = 200;
/** A client that is further behind starts over with the newest page. */
const FURTHEST_BEHIND = 2_000;
/** Milliseconds between the last release and the end of the subscription: a view often comes back at once. */
const LINGER = 1_000;
/** The server passes typing on at most every 2 s. */
const TYPING_PAUSE = 2_000;

const NO_MESSAGE: Failure = {
  code: "not_found",
  message: "The room has no message of this number.",
  retryable: false,
};
const NOT_JOINED: Failure = { code: "offline", message: "The room is not joined.", retryable: true };

/** A room as the app sees it. `RoomfulClient.room` makes it. */
export class Room extends ObservableStore<RoomSnapshot> {
  readonly name: string;
  readonly #options: RoomOptions;
  readonly #log: RoomLog;
  readonly #typing = new TypingUsers((typing) => this.patch({ typing }));
  readonly #members: RoomMembers;
  readonly #restrictions: RestrictionKeeper;
  readonly #sanctions: SanctionList;
  /** Resolves once the cached messages are in the snapshot. @internal */
  readonly restored: Promise<void>;
  #views = 0;
  #releaseTimer: ReturnType<typeof setTimeout> | undefined;
  #unsubscribing: Promise<unknown> | undefined;
  #catchingUp: Promise<void> | undefined;
  #loadingOlder: Promise<void> | undefined;
  readonly #sends = new Burst(() => void this.#sendMark());
  readonly #saves = new Burst(() => void this.#save());
  readonly #retry = new Timer(() => {
    if (this.#online) void this.catchUp();
  });
  readonly #recounts = new Burst(() => void this.#recount());
  #readTo = 0;
  /** True from the loss of the membership until the next attempt to join. */
  #lost = false;
  #typedAt = -Infinity;
  /** True if the session had the room when the connection was lost: a recovered one has it, too. */
  #inSession = false;
  #cache: RoomCache;
  /** The window that was stored last. */
  #saved: Pick<RoomLog, "messages" | "upTo"> | undefined;
  /** True once the user has signed out. The app may still have the room. */
  #ended = false;

  constructor(options: RoomOptions) {
    super({
      ...OUTSIDE,
      room: options.name,
      messages: [],
      hasOlder: false,
      hasNewer: false,
      loading: false,
      restrictions: UNRESTRICTED,
      sanctions: new Map(),
      typing: [],
    });
    this.name = options.name;
    this.#options = options;
    this.#cache = options.cache;
    this.#log = new RoomLog(options.userId);
    this.#restrictions = new RestrictionKeeper(options, (restrictions) => this.#restricted(restrictions));
    this.#sanctions = new SanctionList(options.serverNow, (sanctions) => this.patch({ sanctions }));
    this.#members = new RoomMembers(
      options,
      (fields) => this.patch(fields),
      () => {
        const answered = this.#sanctions.asks();
        return (members) => {
          if (this.#moderates) answered(members);
        };
      },
    );
    this.restored = this.#restore();
  }

  /** Counts of the entries that the client handed to the app, and of violations of the log's laws. */
  get laws(): LawCounts {
    return this.#log.laws.counts;
  }

  /** True while a view wants the room, and until its subscription ends after the last view. @internal */
  get wanted(): boolean {
    return this.#views > 0 || this.#releaseTimer !== undefined;
  }

  /** True while a view waits to be in the room, unless the server has refused it. @internal */
  get entering(): boolean {
    const { joined, error } = this.getSnapshot();
    return this.wanted && !joined && !error && !this.#lost;
  }

  /** The room's position for `chat:sync`, or undefined before the first page. @internal */
  get position(): { room: string; epoch: string; since: number } | undefined {
    const { epoch, upTo } = this.#log;
    return epoch === undefined ? undefined : { room: this.name, epoch, since: upTo };
  }

  // ---- actions

  /**
   * Makes the user a member and opens a view of the room. Resolves once the newest page is there. While the
   * client is offline, it resolves with the cached messages, and the client joins the room when it is back.
   * Rejects with a `RequestError` if the server refuses the room or the connection. Each `join` needs a
   * `release`.
   */
  async join(): Promise<void> {
    this.#views += 1;
    clearTimeout(this.#releaseTimer);
    this.#releaseTimer = undefined;
    this.#tryAgain();
    await this.restored;
    if (this.#online && !this.getSnapshot().joined) await this.catchUp();
    await this.#entered();
  }

  /** Closes a view. The last one ends the subscription; the membership stays. */
  release(): void {
    this.#views = Math.max(0, this.#views - 1);
    if (this.#views > 0) return;
    clearTimeout(this.#releaseTimer);
    this.#releaseTimer = setTimeout(() => this.#unsubscribe(), LINGER);
  }

  /** Ends the membership, on all the user's devices. */
  async leave(): Promise<void> {
    await this.#options.request("chat:leave", { room: this.name });
    this.lost();
  }

  /** Sends a message. It appears in the snapshot at once. After a sign-out, `sent` rejects. */
  send(draft: Draft): { clientId: string; sent: Promise<Message> } {
    this.stopTyping();
    if (this.#ended) {
      const sent = Promise.reject(new RequestError(SIGNED_OUT));
      sent.catch(() => undefined);
      return { clientId: newId(), sent };
    }
    return this.#options.outbox.add(this.name, draft);
  }

  /** Replaces the text of one of the user's messages. */
  async edit(seq: number, text: string): Promise<void> {
    await this.#write("chat:edit_message", { room: this.name, seq, text, clientId: newId() });
  }

  /** Deletes a message: an own one, or as a moderator. */
  async remove(seq: number): Promise<void> {
    await this.#options.request("chat:delete_message", { room: this.name, seq, clientId: newId() });
  }

  /** Adds the user's reaction, or removes it with `on` false. */
  async react(seq: number, emoji: string, on = true): Promise<void> {
    await this.#write("chat:react", { room: this.name, seq, emoji, remove: !on, clientId: newId() });
  }

  /**
   * Reports a message to the moderators. `reason` is a word of the app such as `spam`, and `text` what the
   * user says about it. Resolves to the id of the report; a second report of a message changes nothing.
   */
  async report(seq: number, { reason, text }: { reason: string; text?: string }): Promise<number> {
    const report = { room: this.name, seq, reason, ...(text !== undefined && { text }) };
    return (await this.#options.request("chat:report", report)).id;
  }

  /**
   * Mutes or bans a member, deletes their messages, freezes the room, and so on. For moderators and owners.
   * Rejects with `forbidden` against users of the same or a higher role.
   */
  async moderate(order: ModerationOrder): Promise<Moderated> {
    return this.#options.request("chat:moderate", { ...order, room: this.name });
  }

  /** Marks everything up to `seq` as read; by default, everything. Calls are coalesced. */
  markRead(seq = this.#log.upTo): void {
    if (seq <= Math.max(this.#readTo, this.getSnapshot().readSeq)) return;
    this.#readTo = seq;
    this.#sends.soon();
  }

  /** Tells the others that the user is typing. Call it on every key press. */
  typing(): void {
    const now = performance.now();
    if (now - this.#typedAt < TYPING_PAUSE) return;
    this.#typedAt = now;
    this.#options.request("chat:typing_start", { room: this.name }).catch(() => undefined);
  }

  /** Tells the others that the user has stopped typing. `send` does it, too. */
  stopTyping(): void {
    if (this.#typedAt === -Infinity) return;
    this.#typedAt = -Infinity;
    this.#options.request("chat:typing_stop", { room: this.name }).catch(() => undefined);
  }

  /** What the user had typed here and not sent, as `saveDraft` kept it. */
  draft(): Promise<Draft | undefined> {
    return this.#cache.draft(this.name);
  }

  /** Keeps what the user has typed, across reloads. Without `draft`, forgets it. */
  saveDraft(draft?: Draft): Promise<void> {
    return this.#cache.saveDraft(this.name, draft);
  }

  /** Loads a page of older messages. While one is loading, resolves with it. */
  loadOlder(): Promise<void> {
    return this.#loadOlder(this.#log.from - 1, OLDER_PAGE);
  }

  /**
   * Loads older messages until `seq` is in the snapshot. They appear all at once. Rejects with `not_found` if
   * the room has no message of that number, and with `offline` if the room is not joined and its cached
   * messages lack it.
   */
  async jumpTo(seq: number): Promise<void> {
    // Another jump may have begun to load while this one waited. Its failure is not this one's.
    while (this.#loadingOlder) await this.#loadingOlder.catch(() => undefined);
    if (seq > this.#log.upTo) await this.#catchingUp;
    await this.#loadOlder(seq, JUMP_PAGE);
    const { joined, messages } = this.getSnapshot();
    if (messages.some((message) => message.seq === seq)) return;
    throw new RequestError(joined ? NO_MESSAGE : NOT_JOINED);
  }

  // ---- called by the client

  /**
   * Joins or resumes the room on the present connection, and reads missing pages until the window reaches
   * the head.
   *
   * @internal
   */
  catchUp(answer?: LogAnswer): Promise<void> {
    this.#catchingUp ??= this.#catchUp(answer).finally(() => (this.#catchingUp = undefined));
    return this.#catchingUp;
  }

  /** A session has begun, or has been recovered. @internal */
  began(recovered: boolean): void {
    this.#inSession &&= recovered;
  }

  /** The session has resumed: if the room is part of it, the missed events have arrived. @internal */
  resumed(): Promise<void> {
    const missesNothing = this.#inSession && this.position !== undefined && this.#log.gap === undefined;
    if (!missesNothing) return this.catchUp();
    this.#joined();
    // Another device may have read meanwhile.
    return this.getSnapshot().unread > 0 ? this.#recount() : Promise.resolve();
  }

  /** The server refuses the room on the present connection. @internal */
  refused(error: Failure): void {
    if (error.retryable) return this.#retryLater(error);
    // Other refusals may be over with the next connection.
    if (error.code === "forbidden" || error.code === "banned") this.lost(error);
    else {
      this.#publish({ joined: false, error });
      this.#options.outbox.ready(this.name);
    }
  }

  /** The connection is lost. Messages stay and are marked as stale. @internal */
  offline(): void {
    this.#inSession = this.getSnapshot().joined;
    this.#retry.cancel();
    this.#recounts.cancel();
    this.#typing.clear();
    this.#restrictions.offline();
    this.#sanctions.clear();
    this.#log.disconnected();
    this.#publish({ joined: false, typing: [], stale: this.#log.epoch !== undefined });
  }

  /** The user is no longer a member: forgets the room's messages, also in the cache. @internal */
  lost(error?: Failure): void {
    this.#lost = true;
    this.forget(error);
    void this.#cache.delete(this.name);
    this.#options.outbox.ready(this.name);
  }

  /** Forgets the room's messages, but not those in the cache. @internal */
  forget(error?: Failure): void {
    this.#log.clear();
    this.#saves.cancel();
    this.#saved = undefined;
    this.#readTo = 0;
    this.#members.clear();
    this.#sanctions.clear();
    const { role: _, ...rest } = this.getSnapshot();
    this.set(rest);
    this.#publish({ ...OUTSIDE, ...(error && { error }) });
  }

  /** The user has signed out: forgets everything, and writes to the storage no more. @internal */
  end(): void {
    this.#ended = true;
    this.#cache = new RoomCache(new MemoryStorage(), 1);
    this.forget();
  }

  /** A live message. @internal */
  message(message: Message): void {
    const known = this.#log.epoch !== undefined && message.seq <= this.#log.upTo;
    const me = this.#options.userId();
    this.#typing.stopped(message.userId);
    this.#receive({ number: message.seq, message });
    this.#options.outbox.delivered(message);
    if (known) return;
    if (message.userId === me) this.#restrictions.wrote();
    const { unread, mentions, readSeq } = this.getSnapshot();
    if (message.userId === me || message.seq <= readSeq) return;
    const mentioned = me !== undefined && message.mentions?.includes(me);
    this.patch({ unread: unread + 1, mentions: mentions + (mentioned ? 1 : 0) });
  }

  /** A live edit, deletion or reaction. @internal */
  change(change: Change): void {
    this.#receive({ number: change.logSeq, change });
    const { readSeq, unread } = this.getSnapshot();
    if (change.type !== "deleted" || unread === 0 || change.seq <= readSeq) return;
    // A deleted message is not unread. Many may go at once.
    this.#recounts.soon();
  }

  /** Another user has begun or stopped typing. @internal */
  typed(userId: string, typing: boolean): void {
    if (userId === this.#options.userId()) return;
    if (typing) this.#typing.started(userId);
    else this.#typing.stopped(userId);
  }

  /** What the user may do in the room, from the server's answer or after a recovery. @internal */
  stands(state: Standing): void {
    const moderated = this.#moderates;
    this.#restrictions.entered(state);
    this.patch({ role: state.role });
    // Members hear of no acts, so what a former moderator knows would become outdated.
    if (!this.#moderates) this.#sanctions.clear();
    // The list shows mutes only to moderators.
    else if (!moderated) this.membersChanged(true);
  }

  /** A moderator has acted, in this room or in all. @internal */
  moderated(act: ModerationAct): void {
    this.#restrictions.acted(act);
    // A mute in all rooms is none that a moderator of the room can end.
    if (act.room !== undefined && this.getSnapshot().joined) this.#sanctions.acted(act);
  }

  #restricted(restrictions: Restrictions): void {
    const { joined, restrictions: before } = this.getSnapshot();
    this.patch({ restrictions });
    // A view may still show the room that the user was banned from.
    if (before.banned && !restrictions.banned && this.wanted && !joined) void this.catchUp();
  }

  /** The server has refused a message to this room. @internal */
  sendRefused(refusal: Failure): void {
    this.#restrictions.refused(refusal);
  }

  /** Another device of the user has read on, or the server has sent new counts. @internal */
  counted(unread: number, mentions: number): void {
    this.patch({ unread, mentions });
  }

  /** Somebody has read up to `seq`. @internal */
  marked(userId: string, seq: number): void {
    if (userId === this.#options.userId() && seq > this.getSnapshot().readSeq) {
      this.patch({ readSeq: seq });
      void this.#recount();
    }
    if (this.#members.mark(userId, seq)) this.#members.publishes.soon();
  }

  /** Users came online, went offline, joined or left: fetches the members, once per burst. @internal */
  membersChanged(membership = false): void {
    if (this.getSnapshot().joined) this.#members.fetchSoon(membership);
  }

  /** Pending messages have changed. @internal */
  pendingChanged(): void {
    this.#publish();
  }

  /** Ends all timers and stores the messages. @internal */
  close(): void {
    this.#sends.cancel();
    this.#recounts.cancel();
    this.#members.close();
    this.#retry.cancel();
    clearTimeout(this.#releaseTimer);
    this.#typing.clear();
    this.#restrictions.close();
    this.#sanctions.clear();
    if (this.#saves.cancel()) void this.#save();
  }

  // ---- inside

  /** False for members, and while the role is unknown. */
  get #moderates(): boolean {
    return (this.getSnapshot().role ?? "member") !== "member";
  }

  get #online(): boolean {
    return this.#options.connection.getSnapshot().state === "online";
  }

  /** Forgets an earlier refusal. */
  #tryAgain(): void {
    this.#lost = false;
    const { error, ...rest } = this.getSnapshot();
    if (error) this.set(rest);
  }

  /** Resolves when it is known whether the room can be entered on the present connection. */
  #entered(): Promise<void> {
    const { connection } = this.#options;
    return new Promise((resolve, reject) => {
      const look = (): void => {
        const { joined, error } = this.getSnapshot();
        const { state, reason } = connection.getSnapshot();
        const message = reason ?? "The server refused the connection.";
        const failure =
          error ??
          (state === "failed" ? { code: "unauthorized" as const, message, retryable: false } : undefined);
        if (!failure && !joined && this.wanted && (state === "online" || state === "connecting")) return;
        for (const end of ends) end();
        if (failure && !joined) reject(new RequestError(failure));
        else resolve();
      };
      const ends = [this.subscribe(look), connection.subscribe(look)];
      look();
    });
  }

  #unsubscribe(): void {
    this.#releaseTimer = undefined;
    if (this.#views > 0) return;
    if (this.#needsMembership()) {
      this.#releaseTimer = setTimeout(() => this.#unsubscribe(), LINGER);
      return;
    }
    this.#options.outbox.ready(this.name);
    // A new snapshot lets a `join` that still waits find out that nobody wants the room any more.
    if (!this.getSnapshot().joined) return this.#publish();
    this.offline();
    this.#inSession = false;
    this.#unsubscribing = this.#options
      .request("chat:unsubscribe", { room: this.name })
      .catch(() => undefined)
      .finally(() => (this.#unsubscribing = undefined));
  }

  /** True for a message that was written in a view of a room that has not been entered so far. */
  #needsMembership(): boolean {
    const { joined, error, messages } = this.getSnapshot();
    const entered = joined || this.position !== undefined;
    return !entered && !error && !this.#lost && messages.some(({ state }) => state === "sending");
  }

  async #catchUp(answer?: LogAnswer): Promise<void> {
    this.#lost = false;
    try {
      const first = answer ?? (await this.#enter());
      if ("role" in first) this.stands(first as RoomAnswer);
      if ("readSeq" in first) this.#took(first as JoinAnswer);
      this.#log.answered(first);
      for (let gap = this.#log.gap; gap !== undefined; gap = this.#log.gap) {
        if (this.#log.head - gap > FURTHEST_BEHIND) {
          // Reading on would take longer than starting over.
          this.#log.clear();
          this.#log.answered(await this.#options.request("chat:join", { room: this.name, limit: PAGE }));
          continue;
        }
        const head = this.#log.head;
        const ask = { room: this.name, after: gap, limit: CATCH_UP_PAGE };
        this.#log.newer(await this.#history(ask), head);
        this.#publish();
      }
      this.#joined();
      // A sync answers no counts.
      if (!("readSeq" in first)) await this.#recount();
    } catch (thrown) {
      const error = failureOf(thrown);
      if (error.code !== "offline") this.refused(error);
    }
  }

  /** Reads older pages until the window reaches `seq`. */
  #loadOlder(seq: number, limit: number): Promise<void> {
    this.#loadingOlder ??= this.#readOlder(seq, limit).finally(() => (this.#loadingOlder = undefined));
    return this.#loadingOlder;
  }

  async #readOlder(seq: number, limit: number): Promise<void> {
    if (seq >= this.#log.from || !this.#log.hasOlder) return;
    this.patch({ loading: true });
    try {
      let before: number;
      do {
        before = this.#log.from;
        this.#log.older(await this.#history({ room: this.name, before, limit }));
        // A page of another epoch adds nothing: the room has started over.
      } while (seq < this.#log.from && this.#log.hasOlder && this.#log.from < before);
    } finally {
      this.#publish({ loading: false });
    }
  }

  /** Reads a page of the history, as soon as the rate limit allows. */
  #history(ask: GetHistory): Promise<Page> {
    const limited = ({ code }: Failure) => code === "rate_limited";
    return patiently(limited, () => this.#options.request("chat:get_history", ask));
  }

  #joined(): void {
    this.#inSession = false;
    const { error: _, ...rest } = this.getSnapshot();
    this.set({ ...rest, joined: true, stale: false });
    this.#publish();
    this.#options.outbox.ready(this.name);
    this.membersChanged(true);
  }

  async #enter(): Promise<JoinAnswer> {
    // A cached log that is restored after the request would be taken for the page's beginning.
    await this.restored;
    await this.#unsubscribing;
    const { epoch, upTo } = this.#log;
    const since = epoch === undefined ? { limit: PAGE } : { epoch, since: upTo, limit: CATCH_UP_PAGE };
    return this.#options.request("chat:join", { room: this.name, ...since });
  }

  /** Shows the user's mark and counts wherever they appear. */
  #took({ readSeq, unread, mentions }: ReadMarks): void {
    this.patch({ readSeq: Math.max(readSeq, this.getSnapshot().readSeq), unread, mentions });
    this.#options.counted({ readSeq, unread, mentions });
    if (this.#members.mark(this.#options.userId() ?? "", readSeq)) this.#members.publish();
  }

  /**
   * Gets the user's mark and counts, which another device may have changed. Repeats a mark, since a join
   * would make the user a member again who has just left.
   */
  async #recount(): Promise<void> {
    this.#recounts.cancel();
    const seq = this.getSnapshot().readSeq;
    try {
      const marks =
        seq > 0
          ? await this.#options.request("chat:message_read", { room: this.name, seq })
          : await this.#options.listed();
      if (marks) this.#took(marks);
    } catch {
      // The next mark or join answers them, too.
    }
  }

  #retryLater(error: Failure): void {
    this.#retry.in(Math.max(error.retryAfterMs ?? 0, 500 + Math.random() * 1_000));
  }

  #receive(entry: Entry): void {
    this.#log.receive(entry);
    this.#publish();
    // A gap while joined means that events were lost; before that, the catch-up reads them anyway.
    if (this.#log.gap !== undefined && this.getSnapshot().joined) void this.#fill();
  }

  #fill(): Promise<void> {
    const { epoch = "", head } = this.#log;
    return this.catchUp({ room: this.name, epoch, head, messages: [], changes: [], more: true, reset: false });
  }

  /** Sends a change of a message. A refusal may tell of a mute. */
  async #write<E extends "chat:edit_message" | "chat:react">(
    event: E,
    payload: ClientEvents[E]["payload"],
  ): Promise<void> {
    try {
      await this.#options.request(event, payload);
    } catch (thrown) {
      this.#restrictions.refused(failureOf(thrown));
      throw thrown;
    }
  }

  async #sendMark(): Promise<void> {
    const laws = this.#log.laws.takeReport();
    try {
      const mark = { room: this.name, seq: this.#readTo, ...(laws && { laws }) };
      this.#took(await this.#options.request("chat:message_read", mark));
    } catch {
      // The next mark includes this one, and so does the next join's answer.
      if (laws) this.#log.laws.returnReport(laws);
      this.#readTo = this.getSnapshot().readSeq;
    }
  }

  /** A user has a new profile. @internal */
  profileChanged({ userId, name, avatar }: ServerEvents["user:updated"]): void {
    if (this.#members.rename(userId, { name, avatar })) this.#members.publish();
  }

  /** Rebuilds the list of messages after a change of the log or the outbox. */
  #publish(fields: Partial<RoomSnapshot> = {}): void {
    const { messages: sent, epoch, gap, hasOlder, laws, upTo } = this.#log;
    laws.handedOut(sent, upTo);
    const unsent = unsentBeside(sent, this.#options);
    const messages = unsent.length === 0 ? sent : [...sent, ...unsent];
    this.patch({ messages, hasOlder, hasNewer: gap !== undefined, ...fields });
    const unsaved = sent !== this.#saved?.messages || upTo !== this.#saved.upTo;
    if (epoch !== undefined && unsaved) this.#saves.soon();
  }

  async #restore(): Promise<void> {
    await this.#options.userRestored;
    const saved = await this.#cache.log(this.name);
    if (!saved || this.#log.epoch !== undefined) return;
    this.#log.restore(saved);
    this.#publish({ stale: true });
  }

  async #save(): Promise<void> {
    const { messages, upTo } = this.#log;
    this.#saved = { messages, upTo };
    const saved = this.#log.save(MOST_SAVED);
    if (saved) await this.#cache.saveLog(this.name, saved);
  }
}

const newId = (): string => crypto.randomUUID();
