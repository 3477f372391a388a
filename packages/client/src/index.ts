// The public surface of @roomful/client.

export type { Blocks } from "./blocks.ts";
export { RoomfulClient, type ClientEvents, type OwnStatus, type RoomfulClientOptions } from "./client.ts";
export type { ConnectionOptions, ConnectionState } from "./connection.ts";
export {
  RequestError,
  type Change,
  type Draft,
  type Failure,
  type InboxRow,
  type Member,
  type Message,
  type Moderated,
  type ModerationOrder,
  type Notification,
  type Presence,
  type Reaction,
  type Role,
  type ServerEvents,
  type Status,
} from "./contract.ts";
export type { Inbox, InboxSnapshot } from "./inbox.ts";
export type { Law, LawCounts } from "./laws.ts";
export type { Notifications, NotificationsSnapshot } from "./notifications.ts";
export type { PresenceSnapshot, PresenceWatcher } from "./presence.ts";
export type { ModerationAct, Restrictions, Sanction } from "./restrictions.ts";
export type { Room } from "./room.ts";
export type { RoomMessage, RoomSnapshot } from "./room_snapshot.ts";
export type { KnownSanctions } from "./sanction_list.ts";
export { MemoryStorage, type Storage } from "./storage.ts";
export type { Store } from "./store.ts";
