// What an app sees of a room.

import type { Failure, Member, Message, Role } from "./contract.ts";
import type { SentMessage } from "./message_window.ts";
import type { Restrictions } from "./restrictions.ts";
import type { KnownSanctions } from "./sanction_list.ts";

/** A message in a snapshot. Sent messages have a `seq`; others have `seq` 0 and come last. */
export type RoomMessage =
  | SentMessage
  | (Message & { readonly state: "sending" })
  | (Message & {
      readonly state: "failed";
      readonly error: Failure;
      /** Sends the message again. */
      readonly retry: () => void;
      /** Drops the message. */
      readonly discard: () => void;
    });

/** The state of a room. Snapshots are immutable and keep their identity between changes. */
export interface RoomSnapshot {
  readonly room: string;
  /** True while the room is joined on a live connection. */
  readonly joined: boolean;
  /** By seq, then the messages that are not sent yet. */
  readonly messages: readonly RoomMessage[];
  /** True if `loadOlder` can load more. */
  readonly hasOlder: boolean;
  /** True if messages newer than the window exist and are being loaded. */
  readonly hasNewer: boolean;
  readonly loading: boolean;
  /** Members, those who are online first. Of a large room, some who are offline are missing. */
  readonly members: readonly Member[];
  /** True if the room has members beside these. */
  readonly moreMembers: boolean;
  /** The user's role, from the first join on. */
  readonly role?: Role;
  /** What moderators have ordered. */
  readonly restrictions: Restrictions;
  /** For moderators: the mutes of listed members, and mutes and bans from acts since they joined, by user. */
  readonly sanctions: ReadonlyMap<string, KnownSanctions>;
  /** Ids of other users who are typing. */
  readonly typing: readonly string[];
  readonly readSeq: number;
  readonly unread: number;
  readonly mentions: number;
  /** True if the messages come from the cache and may be outdated. */
  readonly stale: boolean;
  /** Why the room cannot be joined. */
  readonly error?: Failure;
}

/** What a snapshot says of a room that the user is not in. */
export const OUTSIDE = {
  joined: false,
  members: [],
  moreMembers: false,
  readSeq: 0,
  unread: 0,
  mentions: 0,
  stale: false,
} satisfies Partial<RoomSnapshot>;
