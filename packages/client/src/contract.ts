// The server's events: payloads, acks and errors, as docs/events.md describes them.

/** Identifies one lifetime of a room's log. Numbers of different epochs are not comparable. */
export type Epoch = string;

/** A message as the server sends it. */
export interface Message {
  readonly id: string;
  readonly room: string;
  /** The number of the message in its room, from 1. */
  readonly seq: number;
  readonly userId: string;
  readonly name?: string;
  readonly text: string;
  /** Milliseconds since 1970. */
  readonly at: number;
  readonly clientId?: string;
  readonly replyTo?: number;
  readonly mentions?: readonly string[];
  readonly metadata?: Readonly<Record<string, unknown>>;
  /** Milliseconds since 1970. */
  readonly editedAt?: number;
  readonly deleted?: boolean;
  readonly reactions?: readonly Reaction[];
}

/** All users who reacted with one emoji. The list is bounded, the count is exact. */
export interface Reaction {
  readonly emoji: string;
  readonly userIds: readonly string[];
  readonly count: number;
}

/** An edit, deletion or reaction: an entry of the log with its own number. */
export interface Change {
  readonly type: "edited" | "deleted" | "reaction";
  /** The seq of the changed message. */
  readonly seq: number;
  /** The number of the change in the room's log. */
  readonly logSeq: number;
  readonly userId: string;
  readonly at: number;
  readonly text?: string;
  readonly emoji?: string;
  readonly removed?: boolean;
}

/** The status that a user has chosen. */
export type Status = "online" | "away" | "busy" | "invisible";

/** A user's presence. `lastSeen` is null for users that were never online. */
export interface Presence {
  readonly userId: string;
  readonly status: Status | "offline";
  readonly text?: string | null;
  readonly name?: string | null;
  readonly lastSeen?: number | null;
}

/** A member of a room. Only members that the server lists have a role and marks. */
export interface Member extends Presence {
  readonly role?: "member" | "moderator";
  /** The seq up to which the member has read. */
  readonly readSeq?: number;
}

/** An error of the server, or of the connection (`offline`, `timeout`). */
export interface Failure {
  readonly code: string;
  readonly message: string;
  /** True if the same request can succeed later. */
  readonly retryable: boolean;
  /** Milliseconds to wait before the retry. */
  readonly retryAfterMs?: number;
}

/** A page of a room's log. */
export interface Page {
  readonly room: string;
  readonly epoch: Epoch;
  /** Messages in their present state. */
  readonly messages: readonly Message[];
  /** The changes between them; empty in pages that count messages. */
  readonly changes: readonly Change[];
  readonly more: boolean;
}

/** The part of a join's or sync's ack that concerns the log. */
export interface LogAnswer extends Page {
  readonly head: number;
  /** True if the server could not continue from `since`: the page replaces everything. */
  readonly reset: boolean;
}

/** The ack of `chat:join`. */
export interface JoinAnswer extends LogAnswer {
  readonly readSeq: number;
  readonly deliveredSeq: number;
  readonly unread: number;
  readonly mentions: number;
}

/** A row of the inbox. */
export interface InboxRow {
  readonly room: string;
  readonly epoch: Epoch;
  readonly head: number;
  readonly lastMessage: Message | null;
  readonly unread: number;
  readonly mentions: number;
  readonly readSeq: number;
}

/** A notification from the app's backend. */
export interface Notification {
  readonly id: string;
  readonly kind: string;
  readonly title: string;
  readonly body: string;
  readonly data?: unknown;
  readonly at: number;
  readonly readAt?: number;
}

/** What a user writes: the content of a message. */
export interface Draft {
  readonly text: string;
  readonly replyTo?: number;
  readonly mentions?: readonly string[];
  readonly metadata?: Readonly<Record<string, unknown>>;
}

/** Client events: their payloads and the data of their acks. */
export interface Requests {
  "chat:join": {
    send: { room: string; limit?: number; since?: number; epoch?: Epoch };
    data: JoinAnswer;
  };
  "chat:unsubscribe": { send: { room: string }; data: { room: string } };
  "chat:get_members": {
    send: { room: string; after?: string; limit?: number };
    data: { room: string; members: (Member & { role: string; readSeq: number })[]; next?: string };
  };
  "chat:leave": { send: { room: string }; data: { room: string } };
  "chat:send_message": {
    send: Draft & { room: string; clientId: string };
    data: { id: string; room: string; seq: number; at: number; duplicate: boolean };
  };
  "chat:edit_message": {
    send: { room: string; seq: number; text: string; clientId: string };
    data: unknown;
  };
  "chat:delete_message": { send: { room: string; seq: number; clientId: string }; data: unknown };
  "chat:react": {
    send: { room: string; seq: number; emoji: string; remove: boolean; clientId: string };
    data: unknown;
  };
  "chat:typing_start": { send: { room: string }; data: unknown };
  "chat:typing_stop": { send: { room: string }; data: unknown };
  "chat:message_read": {
    send: { room: string; seq: number };
    data: { room: string; readSeq: number; unread: number; mentions: number };
  };
  "chat:get_online_users": { send: { room: string }; data: { room: string; users: Presence[] } };
  "chat:get_history": {
    send: { room: string; before?: number; after?: number; limit?: number };
    data: Page;
  };
  "chat:sync": {
    send: { rooms: { room: string; epoch: Epoch; since: number }[] };
    data: { rooms: (LogAnswer | { room: string; error: Failure })[] };
  };
  "chat:inbox": { send: { limit?: number; after?: string }; data: { rooms: InboxRow[]; next?: string } };
  "presence:subscribe": { send: { users: string[] }; data: { users: Presence[] } };
  "presence:unsubscribe": { send: { users: string[] }; data: { users: Presence[] } };
  "presence:set_status": { send: { status: Status; text?: string }; data: unknown };
  "notification:list": {
    send: { limit?: number; before?: string; unreadOnly?: boolean };
    data: { notifications: Notification[]; unread: number; more: boolean };
  };
  "notification:read": { send: { id: string } | { all: true }; data: { unread: number } };
  "token:refresh": { send: { token: string }; data: { expiresAt: number } };
}

type LiveChange = Omit<Change, "type"> & { readonly room: string };

/** Server events. */
export interface ServerEvents {
  session: { userId: string; sessionId: string; recovered: boolean; serverTime: number };
  "chat:receive_message": Message;
  "chat:message_edited": LiveChange;
  "chat:message_deleted": LiveChange;
  "chat:reaction": LiveChange;
  "chat:typing_start": { room: string; userId: string };
  "chat:typing_stop": { room: string; userId: string };
  "chat:message_read": { room: string; userId: string; seq: number; at: number };
  "chat:unread": { room: string; unread: number; mentions: number };
  "chat:member_joined": { room: string; userId: string };
  "chat:member_left": { room: string; userId: string };
  "chat:room_deleted": { room: string };
  "chat:room_added": { room: string; at: number };
  "chat:room_removed": { room: string; reason: string };
  "presence:online": { userId: string; at: number; status?: Status; text?: string | null };
  "presence:offline": { userId: string; lastSeen: number };
  "presence:status": { userId: string; status: Status; text: string | null };
  "notification:receive": Notification;
  "notification:unread": { unread: number };
  error: Failure & { event?: string };
}

/** Emits an event and resolves to its ack's data. Rejects with a `RequestError`. */
export type Request = <E extends keyof Requests>(
  event: E,
  payload: Requests[E]["send"],
) => Promise<Requests[E]["data"]>;

/** A request that failed. */
export class RequestError extends Error {
  /** The server's or the connection's error. */
  readonly failure: Failure;

  constructor(failure: Failure) {
    super(failure.message);
    this.name = "RequestError";
    this.failure = failure;
  }
}

/** The failure in a thrown value. */
export function failureOf(thrown: unknown): Failure {
  if (thrown instanceof RequestError) return thrown.failure;
  const message = thrown instanceof Error ? thrown.message : String(thrown);
  return { code: "internal", message, retryable: false };
}
