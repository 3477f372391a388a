// Generated from docs/asyncapi.json by scripts/contract.mjs, which is generated from the server's types.
// The events' payloads and acks.

/** `{ok: false, error}`. */
export interface AckError {
  readonly error: ErrorBody;
  readonly ok: false;
}

/** The id of a user. The page begins behind it. */
export type After = string;

/** Any JSON value. */
export type AnyValue = unknown;

/** The app's own fields. The server passes them on unchanged. */
export type AppData = Readonly<Record<string, unknown>>;

/**
 * `user:block_changed`: the user has blocked or unblocked somebody, on another device or
 * through the backend.
 */
export interface BlockChanged {
  readonly at: number;
  /** Whether they are blocked now. */
  readonly blocked: boolean;
  /** The user whom the block concerns. */
  readonly userId: string;
}

/** `{userId}` of `user:block` and `user:unblock`. */
export interface BlockRequest {
  readonly userId: UserId;
}

/** The ack of `user:block`. */
export interface Blocked {
  /** Since when the user is blocked, in milliseconds since 1970. */
  readonly at: number;
  readonly userId: string;
}

/**
 * The ack of `user:blocks`: the ids of the users whom the user has blocked, in ascending
 * order.
 */
export interface Blocks {
  readonly users: readonly string[];
}

/** A mutation in a page of the log. */
export interface Change {
  readonly at: number;
  readonly clientId?: string;
  readonly emoji?: string;
  /** The mutation's own seq in the log. */
  readonly logSeq: number;
  /** Whether the receiving user made it. Present in reactions. */
  readonly mine?: boolean;
  readonly removed?: boolean;
  /** The mutated message. */
  readonly seq: number;
  readonly text?: string;
  readonly type: ChangeKind;
  readonly userId: string;
}

/** The kind of a mutation. */
export type ChangeKind = "edited" | "deleted" | "reaction";

/** The ack of a mutation. `log_seq` is absent if the reaction changed nothing. */
export interface Changed {
  readonly at?: number;
  readonly duplicate: boolean;
  readonly logSeq?: number;
  readonly room: RoomName;
  readonly seq: number;
}

/** A status that a user can choose. */
export type ChosenStatus = "online" | "away" | "busy" | "invisible";

/** A client's own `error {message}`, truncated for the log. */
export interface ClientError {
  readonly message?: AnyValue | null;
}

/** The idempotency key that the client chooses. */
export type ClientId = string;

/** `chat:delete_message {room, seq, clientId?}`. */
export interface DeleteMessage {
  readonly clientId?: ClientId | null;
  readonly room: RoomName;
  /** The seq of the message. */
  readonly seq: Seq;
}

/** The ack of `chat:message_delivered`. */
export interface DeliveredMark {
  readonly deliveredSeq: number;
  readonly room: RoomName;
}

/** `server:draining {retryAfterMs}`: this server shuts down and is about to end the connection. */
export interface Draining {
  /**
   * The earliest time to reconnect, in milliseconds from now. The stock client waits about as
   * long by itself.
   */
  readonly retryAfterMs: number;
}

/** `chat:edit_message {room, seq, text, clientId?}`. */
export interface EditMessage {
  readonly clientId?: ClientId | null;
  readonly room: RoomName;
  /** The seq of the message. */
  readonly seq: Seq;
  readonly text: MessageText;
}

/** A reaction. The app decides which ones it offers. */
export type Emoji = string;

/** Why the server ended a connection. */
export type EndCode = "token_expired" | "revoked" | "kicked" | "banned";

/** One lifetime of a room's log. Numbers of different epochs are not comparable. */
export type Epoch = string;

/** The contract's error object: `{code, message, retryable, retryAfterMs?}`. */
export interface ErrorBody {
  /** The stable code for programs. */
  readonly code: ErrorCode;
  /** The message for people. */
  readonly message: string;
  /** Milliseconds until the next try can succeed. */
  readonly retryAfterMs?: number;
  /** Whether the same request may succeed later. */
  readonly retryable: boolean;
}

/** The codes a client may see, in the order of the metrics. */
export type ErrorCode = "unauthorized" | "token_expired" | "forbidden" | "invalid_request" | "payload_too_large" | "rate_limited" | "conflict" | "not_found" | "unavailable" | "internal" | "quota_exceeded" | "banned" | "muted" | "slow_mode" | "refused";

/**
 * `error`: a failure of an event without a callback, or the reason why the server closes the
 * connection.
 */
export interface ErrorEvent {
  /** The stable code for programs. */
  readonly code: ErrorCode;
  readonly event?: string;
  /** The message for people. */
  readonly message: string;
  /** Milliseconds until the next try can succeed. */
  readonly retryAfterMs?: number;
  /** Whether the same request may succeed later. */
  readonly retryable: boolean;
}

/** `chat:get_history {room, before?, after?, limit?}`. */
export interface GetHistory {
  readonly after?: Position | null;
  readonly before?: Seq | null;
  readonly limit?: PageLimit | null;
  readonly room: RoomName;
}

/** `chat:inbox {limit?, after?}`. */
export interface GetInbox {
  readonly after?: InboxCursor | null;
  readonly limit?: PageLimit | null;
}

/** `chat:get_members {room, after?, limit?}`. */
export interface GetMembers {
  /** The page begins behind this user id. */
  readonly after?: After | null;
  readonly limit?: PageLimit | null;
  readonly room: RoomName;
}

/** `user:get {users: [id]}`. */
export interface GetUsers {
  readonly users: PresenceUsers;
}

/** A page of the log, oldest first: the ack of `chat:get_history`. */
export interface HistoryPage {
  readonly changes: readonly Change[];
  readonly epoch: string;
  /** The messages in their present state. */
  readonly messages: readonly Message[];
  /** Whether the side on which the page was cut has more entries. */
  readonly more: boolean;
  /** Whether the log has newer entries than the page. */
  readonly moreAfter: boolean;
  /** Whether the log has older entries than the page. */
  readonly moreBefore: boolean;
  readonly room: RoomName;
  /** The seq up to which the client has everything with this page. Clients store it as `since`. */
  readonly upTo: number;
}

/** `{room}`: the payload of `chat:leave`, the typing events and `chat:get_online_users`. */
export interface InRoom {
  readonly room: RoomName;
}

/** The opaque `next` of an earlier page. */
export type InboxCursor = string;

/** The ack of `chat:inbox`. */
export interface InboxPage {
  readonly next?: string;
  readonly rooms: readonly InboxRoom[];
}

/** One room of [`InboxPage`]. `last_message` is `null` if retention has removed all messages. */
export interface InboxRoom {
  readonly deliveredSeq: number;
  readonly epoch: string;
  readonly head: number;
  readonly lastMessage: Message | null;
  readonly mentions: number;
  readonly readSeq: number;
  readonly room: RoomName;
  readonly unread: number;
}

/** `chat:join {room, since?, epoch?, limit?}`. */
export interface Join {
  readonly epoch?: Epoch | null;
  readonly limit?: PageLimit | null;
  readonly room: RoomName;
  readonly since?: Position | null;
}

/** The ack of `chat:join`. */
export interface Joined {
  readonly changes: readonly Change[];
  readonly deliveredSeq: number;
  readonly epoch: string;
  /** Whether only moderators and owners may write. */
  readonly frozen: boolean;
  readonly head: number;
  readonly mentions: number;
  readonly messages: readonly Message[];
  /** Whether the side on which the page was cut has more entries. */
  readonly more: boolean;
  /** Whether the log has newer entries than the page. */
  readonly moreAfter: boolean;
  /** Whether the log has older entries than the page. */
  readonly moreBefore: boolean;
  readonly muted?: Muted;
  readonly online: number;
  readonly readSeq: number;
  readonly reset: boolean;
  /** Milliseconds until slow mode lets the user write again; 0 for at once. */
  readonly retryAfterMs: number;
  /** A token may make its user a moderator of all rooms. */
  readonly role: Role;
  readonly room: RoomName;
  /**
   * Seconds between two messages of one user; 0 without slow mode. It does not bind moderators
   * and owners.
   */
  readonly slowMode: number;
  readonly unread: number;
  /** The seq up to which the client has everything with this page. Clients store it as `since`. */
  readonly upTo: number;
}

/**
 * A law of the log, which clients check on what they show: entries ascend, without holes, and
 * come once.
 */
export type Law = "ascending" | "dense" | "once";

/** What a client has checked in a room since its last report. */
export interface LawReport {
  /** The number of entries that the client handed to the app. */
  readonly entries: ReportedCount;
  /** The laws that were broken, each at most once. */
  readonly violations?: readonly LawViolations[] | null;
}

/** How often a law was broken. */
export interface LawViolations {
  readonly count: ReportedCount;
  readonly law: Law;
}

/** The ack of `chat:leave`. */
export interface Left {
  readonly room: RoomName;
}

/** `notification:list {limit?, before?, unreadOnly?}`. Without a payload, the newest ones. */
export interface ListNotifications {
  /** The id of a notification; the page lists only older ones. */
  readonly before?: NotificationId | null;
  readonly limit?: PageLimit | null;
  readonly unreadOnly?: boolean | null;
}

/** `chat:message_edited`, `chat:message_deleted`, `chat:reaction`. */
export interface LiveChange {
  readonly at: number;
  readonly clientId?: string;
  readonly emoji?: string;
  /** The mutation's own seq in the log. */
  readonly logSeq: number;
  /** Whether the receiving user made it. Present in reactions. */
  readonly mine?: boolean;
  readonly removed?: boolean;
  readonly room: RoomName;
  /** The mutated message. */
  readonly seq: number;
  readonly text?: string;
  readonly userId: string;
}

/** `chat:message_read {room, seq, laws?}`, `chat:message_delivered {room, seq, laws?}`. */
export interface Mark {
  /** What the client has checked in the room since its last report. */
  readonly laws?: LawReport | null;
  readonly room: RoomName;
  /** The newest seq that the mark is to include. */
  readonly seq: Seq;
}

/** `chat:message_read` and `chat:message_delivered` as the room's other sockets get them. */
export interface MarkedBy {
  readonly at: number;
  readonly room: RoomName;
  readonly seq: number;
  readonly userId: string;
}

/** One member of [`MembersPage`]. */
export interface Member {
  /** The URL of the picture. */
  readonly avatar: string | null;
  readonly deliveredSeq: number;
  readonly name: string | null;
  readonly readSeq: number;
  readonly role: Role;
  readonly status: Status;
  readonly userId: string;
}

/** The ack of `chat:get_members`. */
export interface MembersPage {
  readonly members: readonly Member[];
  /** The `after` of the next page. */
  readonly next?: string;
  readonly room: RoomName;
}

/** The ids of the mentioned users. */
export type Mentions = readonly string[];

/** A message as clients see it, in `chat:receive_message` and in pages. */
export interface Message {
  /** Milliseconds since 1970. */
  readonly at: number;
  /** The URL of the author's present picture. */
  readonly avatar?: string;
  readonly clientId?: string;
  /** Whether the message was deleted. Its text is then empty. */
  readonly deleted?: boolean;
  /** The time of the last edit, in milliseconds since 1970. */
  readonly editedAt?: number;
  readonly id: string;
  /** The ids of the mentioned users. */
  readonly mentions?: readonly string[];
  readonly metadata?: Metadata;
  readonly name?: string;
  readonly reactions?: readonly Reactions[];
  /** The seq of the message that this one replies to. */
  readonly replyTo?: number;
  readonly room: RoomName;
  readonly seq: number;
  /** The text. */
  readonly text: string;
  readonly userId: string;
}

/** The text of a message. */
export type MessageText = string;

/** The app's own fields, as their author wrote them. */
export type Metadata = Readonly<Record<string, unknown>>;

export type Moderate = {
  readonly action: "ban" | "mute";
  readonly reason?: Reason | null;
  readonly room: RoomName;
  readonly seconds?: null;
  readonly until?: Time | null;
  readonly userId: UserId;
} | {
  readonly action: "unban" | "unmute" | "delete_messages";
  readonly reason?: Reason | null;
  readonly room: RoomName;
  readonly seconds?: null;
  readonly until?: null;
  readonly userId: UserId;
} | {
  readonly action: "slow_mode";
  readonly reason?: Reason | null;
  readonly room: RoomName;
  readonly seconds: Seconds;
  readonly until?: null;
  readonly userId?: null;
} | {
  readonly action: "freeze" | "unfreeze";
  readonly reason?: Reason | null;
  readonly room: RoomName;
  readonly seconds?: null;
  readonly until?: null;
  readonly userId?: null;
};

/** The ack of `chat:moderate`. */
export interface Moderated {
  readonly action: ModerationAction;
  /** For `delete_messages`: the number of messages. */
  readonly deleted?: number;
  readonly room: RoomName;
  readonly until?: number;
  readonly userId?: string;
}

/**
 * `chat:moderation`: to the room's moderators and to the user concerned; about the room as a
 * whole, to all its sockets. Without `room` it holds in all rooms.
 */
export interface Moderation {
  readonly action: ModerationAction;
  readonly reason?: string;
  readonly room?: string;
  readonly seconds?: number;
  readonly until?: number;
  readonly userId?: string;
}

/** What a moderator does. Nodes tell it each other by these names, too. */
export type ModerationAction = "ban" | "unban" | "mute" | "unmute" | "slow_mode" | "freeze" | "unfreeze" | "delete_messages";

/** A mute of the user. */
export interface Muted {
  readonly reason?: string;
  /** When it ends, in milliseconds since 1970. Not there if it has no end. */
  readonly until?: number;
}

/** Empty ack data: `{}`. */
export type Nothing = Readonly<Record<string, unknown>>;

/** A notification as clients see it, in `notification:receive` and in pages. */
export interface Notification {
  readonly at: number;
  readonly body: string;
  readonly data: unknown;
  readonly id: string;
  readonly kind: string;
  /** When the user read it on some device; absent while unread. */
  readonly readAt?: number;
  readonly title: string;
}

/** The id of a notification. */
export type NotificationId = string;

/** The ack of `notification:list`, newest first. */
export interface NotificationPage {
  readonly more: boolean;
  readonly notifications: readonly Notification[];
  readonly unread: number;
}

/** One user of [`OnlineUsers`]. */
export interface OnlineUser {
  /** The URL of the picture. */
  readonly avatar: string | null;
  readonly lastSeen: number;
  readonly name: string | null;
  readonly status: Status;
  readonly text?: string;
  readonly userId: string;
}

/** `chat:online_users`, and the ack of `chat:get_online_users`. */
export interface OnlineUsers {
  readonly room: RoomName;
  readonly users: readonly OnlineUser[];
}

/** The most entries of the page. A number above the server's limit counts as that limit. */
export type PageLimit = number;

/** The ack of `session:ping`. */
export interface Pong {
  readonly serverTime: number;
}

/** The number of an entry in its room's log, or 0 for the start of the log. */
export type Position = number;

/** `{users: [id]}` of `presence:subscribe` and `presence:unsubscribe`. */
export interface PresenceRequest {
  readonly users: PresenceUsers;
}

/** One user of [`States`]. `last_seen` is `null` for a user who never connected. */
export interface PresenceState {
  readonly lastSeen: number | null;
  readonly status: Status;
  readonly text?: string;
  readonly userId: string;
}

/** The ack of `presence:subscribe` and `presence:unsubscribe`: the users' current states. */
export interface PresenceStates {
  readonly users: readonly PresenceState[];
}

/** The ids of users. */
export type PresenceUsers = readonly string[];

/** `chat:react {room, seq, emoji, remove?, clientId?}`. */
export interface React {
  readonly clientId?: ClientId | null;
  readonly emoji: Emoji;
  /** Removes the reaction instead of adding it. */
  readonly remove?: boolean | null;
  readonly room: RoomName;
  /** The seq of the message. */
  readonly seq: Seq;
}

/** The users who reacted to a message with the same emoji. */
export interface Reactions {
  readonly count: number;
  readonly emoji: string;
  /** Whether the asking user is among them. Present in the pages that a user asks for. */
  readonly mine?: boolean;
  /** The first users who reacted. `count` has the total. */
  readonly userIds: readonly string[];
}

/** The ack of `chat:message_read`. */
export interface ReadMark {
  readonly mentions: number;
  readonly readSeq: number;
  readonly room: RoomName;
  readonly unread: number;
}

/** Which notifications are read: one, or all. */
export type ReadNotification = {
  readonly all?: false | null;
  readonly id: NotificationId;
} | {
  readonly all: true;
  readonly id?: null;
};

/** An explanation for people. */
export type Reason = string;

/** `token:refresh {token}`. */
export interface RefreshToken {
  readonly token: string;
}

/** Why a user lost a room. Nodes tell it each other by these names, too. */
export type RemovalReason = "left" | "removed" | "banned" | "deleted" | "token";

/** `chat:report {room, seq, reason, text?}`. */
export interface ReportMessage {
  readonly reason: ReportReason;
  readonly room: RoomName;
  /** The message. */
  readonly seq: Seq;
  /** What the user says about it. */
  readonly text?: Reason | null;
}

/** The kind of offence, such as `spam`. The app decides which ones it offers. */
export type ReportReason = string;

/** A count in a client's report. */
export type ReportedCount = number;

/** The ack of `chat:report`. */
export interface ReportedMessage {
  /** The id of the report; of the first one, if the user has reported the message before. */
  readonly id: number;
}

/** The name of a role. */
export type Role = "member" | "moderator" | "owner";

/** `chat:room_added`: the user is now a member. */
export interface RoomAdded {
  /** When the membership began, in milliseconds since 1970. */
  readonly at: number;
  readonly room: RoomName;
}

/** `chat:room_deleted`. */
export interface RoomDeleted {
  readonly room: RoomName;
}

/** The name of a room. */
export type RoomName = string;

/**
 * `chat:room_removed`: the user is no longer a member, or this socket's token no longer allows
 * the room.
 */
export interface RoomRemoved {
  readonly reason: RemovalReason;
  readonly room: RoomName;
}

/** The payload of [`ROOM_STATE`]. */
export interface RoomState {
  /** Whether only moderators and owners may write. */
  readonly frozen: boolean;
  readonly muted?: Muted;
  /** Milliseconds until slow mode lets the user write again; 0 for at once. */
  readonly retryAfterMs: number;
  /** A token may make its user a moderator of all rooms. */
  readonly role: Role;
  readonly room: RoomName;
  /**
   * Seconds between two messages of one user; 0 without slow mode. It does not bind moderators
   * and owners.
   */
  readonly slowMode: number;
}

/** `chat:unread`. */
export interface RoomUnread {
  readonly cause: UnreadCause;
  /** The number of the newest entry in the room's log. */
  readonly head: number;
  /** `null` if retention has removed all messages. */
  readonly lastMessage: Message | null;
  readonly mentions: number;
  readonly room: RoomName;
  readonly unread: number;
}

/** A number of seconds. */
export type Seconds = number;

/** `chat:send_message {room, text, clientId?, replyTo?, mentions?, metadata?}`. */
export interface SendMessage {
  readonly clientId?: ClientId | null;
  readonly mentions?: Mentions | null;
  readonly metadata?: AppData | null;
  /** The seq of the message that this one replies to. */
  readonly replyTo?: Seq | null;
  readonly room: RoomName;
  readonly text: MessageText;
}

/** The ack of `chat:send_message`. */
export interface Sent {
  readonly at: number;
  readonly duplicate: boolean;
  readonly id: string;
  readonly room: RoomName;
  readonly seq: number;
}

/** The number of an entry in its room's log, from 1. */
export type Seq = number;

/** `session`: the first event of every connection. */
export interface SessionBegan {
  /** The end of the token, in milliseconds since 1970. */
  readonly expiresAt: number;
  readonly limits: SessionLimits;
  readonly recovered: boolean;
  readonly serverTime: number;
  readonly sessionId: string;
  readonly userId: string;
}

/** `session:ended`: the last event before the server ends a connection on purpose. */
export interface SessionEnded {
  readonly code: EndCode;
  readonly message: string;
  /** Whether a new connection with a fresh token can succeed. */
  readonly retryable: boolean;
}

/** The limits that `session` reports to the client. */
export interface SessionLimits {
  /** The burst after a pause, in events; `null` without rate limits. */
  readonly eventBurst: number | null;
  /** Sustained events per second; `null` without rate limits. */
  readonly eventsPerSecond: number | null;
  /** The most mentions of a message. */
  readonly mentions: number;
  /** The largest `metadata`, in bytes of JSON. */
  readonly metadataBytes: number;
  /** The most messages of a page. */
  readonly page: number;
  /** The most rooms that this connection may be subscribed to. */
  readonly rooms: number;
  /** The longest text of a message, in bytes. */
  readonly textBytes: number;
}

/** `{status, text?}` of `presence:set_status`. An absent or invisible text clears the text. */
export interface SetStatus {
  readonly status: ChosenStatus;
  readonly text?: StatusText | null;
}

/** A user's status, derived from their connections and their own choice. */
export type Status = "online" | "away" | "busy" | "invisible" | "offline";

/** The text of a status. Without a visible character, the user has none. */
export type StatusText = string;

/** The position up to which a client knows a room's log. */
export interface SyncPosition {
  readonly epoch?: Epoch | null;
  readonly room: RoomName;
  readonly since?: Position | null;
}

/** `chat:sync {rooms: [{room, epoch, since}]}`. */
export interface SyncRequest {
  readonly rooms: readonly SyncPosition[];
}

/** The ack of `chat:sync`, in the order of the request. */
export interface Synced {
  readonly rooms: readonly SyncedRoom[];
}

/** One room of [`Synced`]. */
export type SyncedRoom = {
  readonly changes: readonly Change[];
  readonly epoch: string;
  /** Whether only moderators and owners may write. */
  readonly frozen: boolean;
  readonly head: number;
  readonly messages: readonly Message[];
  /** Whether the side on which the page was cut has more entries. */
  readonly more: boolean;
  /** Whether the log has newer entries than the page. */
  readonly moreAfter: boolean;
  /** Whether the log has older entries than the page. */
  readonly moreBefore: boolean;
  readonly muted?: Muted;
  readonly reset: boolean;
  /** Milliseconds until slow mode lets the user write again; 0 for at once. */
  readonly retryAfterMs: number;
  /** A token may make its user a moderator of all rooms. */
  readonly role: Role;
  readonly room: RoomName;
  /**
   * Seconds between two messages of one user; 0 without slow mode. It does not bind moderators
   * and owners.
   */
  readonly slowMode: number;
  /** The seq up to which the client has everything with this page. Clients store it as `since`. */
  readonly upTo: number;
} | {
  readonly error: ErrorBody;
  readonly room: RoomName;
};

/** A time in milliseconds since 1970. */
export type Time = number;

/** The ack of `token:refresh`, and `token:expiring`. */
export interface TokenExpires {
  /** The end of the token, in milliseconds since 1970. */
  readonly expiresAt: number;
}

/** The ack of `user:unblock`. */
export interface Unblocked {
  readonly userId: string;
}

/** Why the counts of a room are sent. */
export type UnreadCause = "message" | "read" | "sent";

/** The ack of `notification:read`, and `notification:unread`. */
export interface UnreadNotifications {
  readonly unread: number;
}

/** A user's id, the `sub` of their tokens. */
export type UserId = string;

/** `{room, userId}`: the typing and membership events. */
export interface UserInRoom {
  readonly room: RoomName;
  readonly userId: string;
}

/** `presence:offline`. */
export interface UserOffline {
  readonly lastSeen: number;
  readonly userId: string;
}

/** `presence:online`. `status` is present unless it is plain `online`. */
export interface UserOnline {
  readonly at: number;
  readonly status?: Status;
  readonly text?: string;
  readonly userId: string;
}

/** A user's profile. Fields that the user does not have are `null`. */
export interface UserProfile {
  /** The URL of the picture. */
  readonly avatar: string | null;
  readonly metadata: Metadata | null;
  readonly name: string | null;
  readonly userId: string;
}

/** The ack of `user:get`, in the order of the request. */
export interface UserProfiles {
  readonly users: readonly UserProfile[];
}

/** `presence:status`. `text` is `null` if the user has none. */
export interface UserStatus {
  readonly status: Status;
  readonly text: string | null;
  readonly userId: string;
}

/** `user:updated`: a user has a new profile. */
export interface UserUpdated {
  /** When it was changed, in milliseconds since 1970. */
  readonly at: number;
  /** The URL of the picture. */
  readonly avatar: string | null;
  readonly metadata: Metadata | null;
  readonly name: string | null;
  readonly userId: string;
}

/** Client events: the payload, and the data of the ack. */
export interface ClientEvents {
  /** Removes the content of a message, for its author and for moderators. */
  "chat:delete_message": { payload: DeleteMessage; ack: Changed };
  /** Replaces the text of the user's own message. */
  "chat:edit_message": { payload: EditMessage; ack: Changed };
  /** Reads a page of the room's log. */
  "chat:get_history": { payload: RoomName | GetHistory; ack: HistoryPage };
  /** Lists the room's members by user id. */
  "chat:get_members": { payload: RoomName | GetMembers; ack: MembersPage };
  /** Lists the room's online users. */
  "chat:get_online_users": { payload: RoomName | InRoom; ack: OnlineUsers };
  /** Lists the user's rooms, the one with the latest message first. */
  "chat:inbox": { payload: null | GetInbox; ack: InboxPage };
  /** Makes the user a member of the room, subscribes this socket, and returns what it missed. */
  "chat:join": { payload: RoomName | Join; ack: Joined };
  /** Ends the membership on all the user's sockets. */
  "chat:leave": { payload: RoomName | InRoom; ack: Left };
  /** Marks everything up to a seq as delivered to a device. */
  "chat:message_delivered": { payload: Mark; ack: DeliveredMark };
  /** Marks everything up to a seq as read. */
  "chat:message_read": { payload: Mark; ack: ReadMark };
  /** Bans and mutes, slow mode, freezing and deletion, for moderators of the room. */
  "chat:moderate": { payload: Moderate; ack: Moderated };
  /** Adds or removes the user's reaction to a message. */
  "chat:react": { payload: React; ack: Changed };
  /**
   * Reports a message to the moderators. A second report of the same message returns the first
   * one.
   */
  "chat:report": { payload: ReportMessage; ack: ReportedMessage };
  /** Stores a message and sends it to the room's subscribers. */
  "chat:send_message": { payload: SendMessage; ack: Sent };
  /**
   * Subscribes to rooms of which the user is a member, and returns what the client missed in
   * each.
   */
  "chat:sync": { payload: SyncRequest; ack: Synced };
  /** Tells the room that the user types. */
  "chat:typing_start": { payload: RoomName | InRoom; ack: Nothing };
  /** Tells the room that the user stopped typing. */
  "chat:typing_stop": { payload: RoomName | InRoom; ack: Nothing };
  /** Ends the subscription of this socket. The membership stays. */
  "chat:unsubscribe": { payload: RoomName | InRoom; ack: Left };
  /** Reports an error of the client to the server's log. */
  "error": { payload: ClientError; ack: Nothing };
  /** Lists the user's notifications, newest first. */
  "notification:list": { payload: null | ListNotifications; ack: NotificationPage };
  /** Marks one notification as read, or all of them. */
  "notification:read": { payload: ReadNotification; ack: UnreadNotifications };
  /** Sets the user's status on all their devices. */
  "presence:set_status": { payload: SetStatus; ack: Nothing };
  /** Returns the users' presence and sends its changes from now on. */
  "presence:subscribe": { payload: PresenceRequest; ack: PresenceStates };
  /** Ends presence subscriptions and returns the users' presence. */
  "presence:unsubscribe": { payload: PresenceRequest; ack: PresenceStates };
  /** Checks that the connection is alive. */
  "session:ping": { payload: null | Nothing; ack: Pong };
  /** Replaces the token of the live connection. */
  "token:refresh": { payload: RefreshToken; ack: TokenExpires };
  /**
   * Blocks a user: their mentions, notifications and presence requests no longer reach this
   * user.
   */
  "user:block": { payload: BlockRequest; ack: Blocked };
  /** Lists the users whom the user has blocked. */
  "user:blocks": { payload: null | Nothing; ack: Blocks };
  /** Returns the profiles of users. */
  "user:get": { payload: GetUsers; ack: UserProfiles };
  /** Ends a block. */
  "user:unblock": { payload: BlockRequest; ack: Unblocked };
}

/** Server events: the payload. */
export interface ServerEvents {
  /** A new member, to the room. */
  "chat:member_joined": UserInRoom;
  /** A member is gone, to the room. */
  "chat:member_left": UserInRoom;
  /** A deletion, to all subscribers of the room. */
  "chat:message_deleted": LiveChange;
  /** A member's delivered mark, to the room's other sockets. */
  "chat:message_delivered": MarkedBy;
  /** An edit, to all subscribers of the room. */
  "chat:message_edited": LiveChange;
  /** A member's read mark, to the room's other sockets. */
  "chat:message_read": MarkedBy;
  /** An act of moderation, to the room's moderators and the user concerned, or to the whole room. */
  "chat:moderation": Moderation;
  /** The list that `chat:get_online_users` asked for. */
  "chat:online_users": OnlineUsers;
  /** A reaction or its removal, to all subscribers of the room. */
  "chat:reaction": LiveChange;
  /** A message, to all subscribers of the room. */
  "chat:receive_message": Message;
  /** A new membership, to all the user's sockets. */
  "chat:room_added": RoomAdded;
  /** The room was deleted, to its subscribers. */
  "chat:room_deleted": RoomDeleted;
  /** The end of a membership, to all the user's sockets. */
  "chat:room_removed": RoomRemoved;
  /**
   * What the user may do in a room, to a recovered session that may have missed an act of
   * moderation.
   */
  "chat:room_state": RoomState;
  /** A user types, to the others in the room. */
  "chat:typing_start": UserInRoom;
  /** A user stopped typing, to the others in the room. */
  "chat:typing_stop": UserInRoom;
  /** Counts of a room, to the user's sockets that are not subscribed to it. */
  "chat:unread": RoomUnread;
  /** A failure of an event without a callback. */
  "error": ErrorEvent;
  /** A notification, to all the user's devices. */
  "notification:receive": Notification;
  /** The count of unread notifications, to the user's other sockets. */
  "notification:unread": UnreadNotifications;
  /** A user went offline, to users who share a room and to subscribers. */
  "presence:offline": UserOffline;
  /** A user came online, to users who share a room and to subscribers. */
  "presence:online": UserOnline;
  /** A user's new status, to users who share a room, to subscribers, and to their other devices. */
  "presence:status": UserStatus;
  /** The server is about to stop and ends the connection. */
  "server:draining": Draining;
  /** The first event of every connection. */
  "session": SessionBegan;
  /** The last event before the server ends the connection on purpose. */
  "session:ended": SessionEnded;
  /** The token is about to end. Refresh it to keep the connection. */
  "token:expiring": TokenExpires;
  /** The user has blocked or unblocked somebody, to the user's other sockets. */
  "user:block_changed": BlockChanged;
  /** A user has a new profile, to users who share a room. */
  "user:updated": UserUpdated;
}
