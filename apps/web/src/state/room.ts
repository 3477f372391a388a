// One room's state: messages, read marks, unread count, online users, typing users. Pure, without I/O.

import type { Change, Choice, Failure, JoinAnswer, Message, OnlineUser } from "../contract.ts";
import { changed } from "./changes.ts";
import { Timeline } from "./timeline.ts";
import { Typing } from "./typing.ts";

/** Read marks kept for a room; enough to show who read, not a copy of the member list. */
const MOST_MARKS = 200;

export type Phase = "waiting" | "joined" | "refused";

export class Room {
  readonly timeline = new Timeline();
  readonly typing = new Typing();
  phase: Phase = "waiting";
  /** Why the room can't be entered, when `refused`. */
  problem: Failure | undefined;
  /** All up to here was read by the user, on any device. */
  readSeq = 0;
  unread = 0;
  /** How many of the unread mention the user. */
  mentions = 0;
  /** The line "new" stands behind this seq. */
  newAfter: number | undefined;
  /** What others said while the connection was gone: so many messages behind that seq. */
  away: { after: number; missed: number } | undefined;
  /** `away`, as far as it is of the latest absence. */
  private absence: { after: number; missed: number } | undefined;
  /** The own message that is being rewritten. */
  editing: number | undefined;
  /** The latest message, held or not, for the room list. */
  latest: Message | undefined;
  online = new Map<string, OnlineUser>();
  /** What was typed and not sent yet, and who was chosen by which name to be mentioned in it. */
  draft = "";
  readonly chosen = new Map<string, string>();
  private readonly marks = new Map<string, number>();

  constructor(readonly name: string) {}

  /** Where a join should continue; undefined for a first join. */
  resumePoint(): { since: number; epoch: NonNullable<Timeline["epoch"]> } | undefined {
    const { epoch, cursor } = this.timeline;
    return epoch === undefined ? undefined : { since: cursor, epoch };
  }

  /** Takes the answer to a join. True if the messages must be loaded anew. */
  joined(answer: JoinAnswer, resuming: boolean, me: string): boolean {
    this.phase = "joined";
    this.problem = undefined;
    const reset = answer.reset || (resuming && answer.epoch !== this.timeline.epoch);
    if (reset) {
      this.marks.clear();
      this.latest = undefined;
      this.newAfter = undefined;
      this.away = undefined;
      this.editing = undefined;
      this.readSeq = 0;
      this.timeline.clear(answer.epoch, answer.head);
    } else if (resuming) {
      this.missedUpToJoin(answer, me);
      this.timeline.resume(answer, answer.head, answer.more);
      for (const change of answer.changes) this.noteChange(change);
    } else {
      this.timeline.replace(answer, answer.head);
    }
    this.note(answer.messages[answer.messages.length - 1]);
    this.readSeq = Math.max(this.readSeq, answer.readSeq);
    const readHere = this.readSeq > answer.readSeq;
    this.unread = readHere ? 0 : answer.unread;
    this.mentions = readHere ? 0 : answer.mentions;
    return reset;
  }

  /** The others' words in the answer to a join that resumes. */
  private missedUpToJoin({ messages, more, unread }: JoinAnswer, me: string): void {
    const after = this.timeline.cursor;
    const theirs = messages.filter((m) => m.userId !== me && !m.deleted && m.seq > after).length;
    // Even an answer that ends before the head tells the number: its unread count minus the one before.
    this.missed(after, more ? Math.max(theirs, unread - this.unread) : theirs);
  }

  /**
   * So many words of others behind `after` were said while the connection was gone: the line "new" stands
   * before them.
   */
  private missed(after: number, count: number): void {
    if (count === 0) return;
    this.away = this.absence = { after, missed: 0, ...this.absence };
    this.away.missed += count;
    this.newAfter ??= after;
  }

  refused(problem: Failure): void {
    this.phase = "refused";
    this.problem = problem;
  }

  /** The connection is gone: what only lives while connected is forgotten, messages stay. */
  disconnected(): void {
    if (this.phase === "joined") this.phase = "waiting";
    this.absence = undefined;
    this.typing.clear();
  }

  /** Takes a live message. `watched`: the user sees the end of this room now. */
  receive(message: Message, me: string, watched: boolean, following: boolean): void {
    const known = message.seq <= this.timeline.cursor;
    this.timeline.receive(message, following);
    this.typing.stop(message.userId);
    if (known) return;
    this.note(message);
    if (message.userId === me) return;
    // A recovered session delivers missed messages before the room is joined again.
    if (this.phase === "waiting" && !message.deleted) this.missed(message.seq - 1, 1);
    if (watched) return;
    this.unread += 1;
    if (message.mentions?.includes(me)) this.mentions += 1;
    this.newAfter ??= message.seq - 1;
  }

  /** Takes a live edit, delete or reaction. */
  change(change: Change, me: string): void {
    const before = this.timeline.messages.find(({ seq }) => seq === change.seq);
    const known = change.logSeq <= this.timeline.cursor;
    this.timeline.change(change);
    this.noteChange(change);
    // A deleted message no longer counts as unread.
    const unread = before && !before.deleted && before.userId !== me && before.seq > this.readSeq;
    if (change.type !== "deleted" || known || !unread) return;
    this.unread = Math.max(0, this.unread - 1);
    if (before.mentions?.includes(me)) this.mentions = Math.max(0, this.mentions - 1);
  }

  /** The user has read up to `seq`. True if that is news. */
  read(
    seq: number,
    unread: { messages: number; mentions: number } = { messages: 0, mentions: 0 },
  ): boolean {
    if (seq <= this.readSeq) return false;
    this.readSeq = seq;
    this.unread = unread.messages;
    this.mentions = unread.mentions;
    return true;
  }

  /** Another device of the user has read up to `seq`: what lies behind is counted from what we hold. */
  readElsewhere(seq: number, me: string): void {
    const unread = this.timeline.messages.filter((m) => m.seq > seq && m.userId !== me && !m.deleted);
    this.read(seq, {
      messages: unread.length,
      mentions: unread.filter((m) => m.mentions?.includes(me)).length,
    });
  }

  /** Somebody shows as something else. False if they are not known to be here. */
  shows(userId: string, { status, text }: Choice): boolean {
    const user = this.online.get(userId);
    if (user) this.online.set(userId, { ...user, status, text: text ?? null });
    return user !== undefined;
  }

  /** Somebody else's read mark; it only grows. */
  mark(userId: string, seq: number): void {
    const known = this.marks.get(userId) ?? 0;
    if (seq <= known) return;
    this.marks.delete(userId);
    this.marks.set(userId, seq);
    if (this.marks.size > MOST_MARKS) {
      const oldest = this.marks.keys().next().value;
      if (oldest !== undefined) this.marks.delete(oldest);
    }
  }

  /** Who is known to have read `seq`. */
  readers(seq: number): string[] {
    return [...this.marks].filter(([, mark]) => mark >= seq).map(([userId]) => userId);
  }

  /**
   * Puts the line "new" before the first unread message, as a reader enters. Who never read here has no
   * such place.
   */
  enter(): void {
    this.newAfter = this.unread > 0 && this.readSeq > 0 ? this.readSeq : undefined;
  }

  note(message: Message | undefined): void {
    if (message && message.seq >= (this.latest?.seq ?? 0)) this.latest = message;
  }

  private noteChange(change: Change): void {
    if (this.latest?.seq === change.seq) this.latest = changed(this.latest, change);
    if (this.editing === change.seq && change.type === "deleted") this.editing = undefined;
  }
}
