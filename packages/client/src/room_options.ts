// What a room needs from its client.

import type { ConnectionState } from "./connection.ts";
import type { Request } from "./contract.ts";
import type { ReadMarks } from "./inbox.ts";
import type { Outbox } from "./outbox.ts";
import type { RoomCache } from "./room_cache.ts";
import type { Store } from "./store.ts";

export interface RoomOptions {
  /** The room's name. */
  readonly name: string;
  readonly request: Request;
  readonly outbox: Outbox;
  readonly cache: RoomCache;
  readonly userId: () => string | undefined;
  /** Resolves once the user who was signed in before is known. */
  readonly userRestored: Promise<void>;
  /** True if the user's token makes them a moderator of every room that they are a member of. */
  readonly moderator: () => boolean;
  /** The server's clock, in milliseconds since 1970. */
  readonly serverNow: () => number;
  readonly connection: Store<ConnectionState>;
  /** Reads the room's row of the inbox again; undefined if there is none. */
  readonly listed: () => Promise<ReadMarks | undefined>;
  /** Called when the user has read on. */
  readonly counted: (marks: ReadMarks) => void;
}
