// The contract as the package uses it: types of the server's description, requests and their failures.

import type {
  ClientEvents,
  ErrorBody,
  ErrorCode,
  HistoryPage,
  InboxRoom,
  Joined,
  Member as ListedMember,
  Moderate,
  PresenceState,
  Role,
  SendMessage,
  Status as AnyStatus,
} from "./contract.generated.ts";

export type {
  Change,
  GetHistory,
  Message,
  Moderated,
  Notification,
  Reactions as Reaction,
  Role,
  ServerEvents,
} from "./contract.generated.ts";

/** Identifies one lifetime of a room's log. Numbers of different epochs are not comparable. */
export type Epoch = string;

/** The status that a user has chosen. */
export type Status = Exclude<AnyStatus, "offline">;

/** A user's presence. `lastSeen` is null for users that were never online. */
export interface Presence extends Pick<PresenceState, "userId" | "status"> {
  readonly text?: string | null;
  readonly name?: string | null;
  /** The URL of the picture. It comes from a token or the app's backend: check its scheme before use. */
  readonly avatar?: string | null;
  readonly lastSeen?: number | null;
}

/** A member of a room. Only members that the server lists have a role and marks. */
export interface Member extends Presence, Partial<Pick<ListedMember, "readSeq">> {
  readonly role?: Role;
}

/** What a moderator orders in a room. */
export type ModerationOrder = WithoutRoom<Moderate>;

type WithoutRoom<T> = T extends unknown ? Omit<T, "room"> : never;

/** An error of the server, or of the connection (`offline`, `timeout`). */
export interface Failure extends Omit<ErrorBody, "code"> {
  readonly code: ErrorCode | "offline" | "timeout";
}

/** A page of a room's log. */
export type Page = Pick<HistoryPage, "room" | "epoch" | "messages" | "changes" | "more">;

/** The part of a join's or sync's ack that concerns the log. */
export type LogAnswer = Page & Pick<Joined, "head" | "reset">;

/** What a join and a sync tell of a room. */
export type RoomAnswer = LogAnswer & Standing;

/** The user's role in a room, and what restrains them from writing there. */
export type Standing = Pick<Joined, "role" | "frozen" | "slowMode" | "retryAfterMs" | "muted">;

/** The ack of `chat:join`. */
export type JoinAnswer = RoomAnswer & Pick<Joined, "readSeq" | "deliveredSeq" | "unread" | "mentions">;

/** A row of the inbox. */
export type InboxRow = Omit<InboxRoom, "deliveredSeq">;

/** What a user writes: the content of a message. */
export type Draft = WithoutNull<Omit<SendMessage, "room" | "clientId">>;

type WithoutNull<T> = { [K in keyof T]: Exclude<T[K], null> };

/** Emits an event and resolves to its ack's data. Rejects with a `RequestError`. */
export type Request = <E extends keyof ClientEvents>(
  event: E,
  payload: ClientEvents[E]["payload"],
) => Promise<ClientEvents[E]["ack"]>;

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
