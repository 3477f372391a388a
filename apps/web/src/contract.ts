// The words spoken with the server: event names, payloads, answers. No behaviour, save the failure as an
// exception.

/** A room's log changes its epoch when it was restored or reset: numbers of another epoch mean nothing. */
export type Epoch = string | number;

export interface Message {
  id: string;
  room: string;
  /** Counts from 1 within the room. */
  seq: number;
  userId: string;
  name?: string;
  text: string;
  /** Milliseconds since 1970. */
  at: number;
  clientId?: string;
  /** The ids of the users it mentions. */
  mentions?: string[];
  /** When it was last edited. */
  editedAt?: number;
  /** Its text is gone; its place in the room remains. */
  deleted?: boolean;
  reactions?: Reactions[];
}

/** All who reacted to a message with the same sign. The list of users is bounded, the count is not. */
export interface Reactions {
  emoji: string;
  userIds: string[];
  count: number;
}

/** What became of a message later: an entry of the room's log with a number of its own. */
export interface Change {
  type: "edited" | "deleted" | "reaction";
  /** The message's. */
  seq: number;
  logSeq: number;
  userId: string;
  at: number;
  text?: string;
  emoji?: string;
  removed?: boolean;
}

type LiveChange = Omit<Change, "type"> & { room: string };

/** What a user may choose to show as. */
export type Status = "online" | "away" | "busy" | "invisible";

/** What a user shows as, and what they say about it. */
export interface Choice {
  status: Status;
  text?: string | null;
}

export interface OnlineUser {
  userId: string;
  name?: string | null;
  status?: string;
  text?: string | null;
  lastSeen?: number | null;
}

export interface Failure {
  code: string;
  message: string;
  retryable: boolean;
  retryAfterMs?: number;
}

export type Answer<T> = { ok: true; data: T } | { ok: false; error: Failure };

export interface JoinAnswer {
  room: string;
  epoch: Epoch;
  head: number;
  messages: Message[];
  changes: Change[];
  more: boolean;
  reset: boolean;
  readSeq: number;
  unread: number;
  mentions: number;
}

/** A page of the rooms that the user is a member of, latest first. */
export interface InboxAnswer {
  rooms: { room: string; unread: number; mentions: number }[];
  /** Where the next page begins. */
  next?: string;
}

export interface HistoryAnswer {
  room: string;
  epoch: Epoch;
  /** Messages as they are now, and what else the log says between them; a page may hold changes alone. */
  messages: Message[];
  changes: Change[];
  more: boolean;
}

export interface Notice {
  id: string;
  kind: string;
  title: string;
  body: string;
  at: number;
  readAt?: number;
}

export interface NoticesAnswer {
  /** Newest first. */
  notifications: Notice[];
  unread: number;
  more: boolean;
}

/** What the page asks of the server: for each event, what goes out and what the answer carries. */
export interface Requests {
  "chat:join": { send: { room: string; since?: number; epoch?: Epoch; limit?: number }; data: JoinAnswer };
  "chat:inbox": { send: { limit?: number; after?: string }; data: InboxAnswer };
  "chat:leave": { send: { room: string }; data: { room: string } };
  "chat:send_message": {
    send: { room: string; text: string; clientId: string; mentions?: string[] };
    data: { id: string; room: string; seq: number; at: number; duplicate: boolean };
  };
  "chat:edit_message": {
    send: { room: string; seq: number; text: string; clientId: string };
    data: object;
  };
  "chat:delete_message": { send: { room: string; seq: number; clientId: string }; data: object };
  "chat:react": { send: { room: string; seq: number; emoji: string; remove: boolean }; data: object };
  "chat:typing_start": { send: { room: string }; data: object };
  "chat:typing_stop": { send: { room: string }; data: object };
  "chat:message_read": {
    send: { room: string; seq: number };
    data: { room: string; readSeq: number; unread: number };
  };
  "chat:get_online_users": { send: { room: string }; data: { room: string; users: OnlineUser[] } };
  "chat:get_history": {
    send: { room: string; before?: number; after?: number; limit?: number };
    data: HistoryAnswer;
  };
  "presence:set_status": { send: Choice; data: object };
  "notification:list": { send: { limit?: number }; data: NoticesAnswer };
  "notification:read": { send: { id: string } | { all: true }; data: { unread: number } };
  "token:refresh": { send: { token: string }; data: object };
}

export type Request = <E extends keyof Requests>(
  event: E,
  payload: Requests[E]["send"],
) => Promise<Requests[E]["data"]>;

/** What the server says unasked, as far as the page listens. */
export interface Announcements {
  session: {
    userId: string;
    sessionId: string;
    recovered: boolean;
    serverTime: number;
    limits?: { textBytes?: number; mentions?: number };
  };
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
  "presence:online": { userId: string; at: number };
  /** Somebody else whom others may see, or the user themself, on another device or on connecting. */
  "presence:status": Choice & { userId: string };
  "presence:offline": { userId: string; lastSeen: number };
  "notification:receive": Notice;
  "notification:unread": { unread: number };
  error: Failure & { event?: string };
}

/** A request that did not succeed: refused by the server, or never answered (`timeout`, `offline`). */
export class RequestError extends Error {
  constructor(readonly failure: Failure) {
    super(failure.message);
    this.name = "RequestError";
  }
}

/** The failure inside whatever was thrown, so that callers have one shape to look at. */
export function failureOf(thrown: unknown): Failure {
  if (thrown instanceof RequestError) return thrown.failure;
  return {
    code: "internal",
    message: thrown instanceof Error ? thrown.message : String(thrown),
    retryable: false,
  };
}
