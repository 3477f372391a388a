// The HTTP API: one method per call, typed after docs/openapi.json.

import { Caller, path, search, type RoomfulApiOptions } from "./caller.ts";
import type { components, operations } from "./openapi.ts";

type Schemas = components["schemas"];
type Query<O extends keyof operations> = NonNullable<operations[O]["parameters"]["query"]>;
/** The query of a list in pages, without the cursor, which the client handles itself. */
type Filter<O extends keyof operations> = Omit<Query<O>, "cursor">;

/** Milliseconds that an erasure may take: it waits for all nodes, and for every message of the user. */
const ERASURE = 300_000;

/** A line of a user's export. */
export interface ExportedRow {
  /** What it is, such as `user`, `membership` or `message`. */
  readonly type: string;
  readonly room?: string;
  readonly [field: string]: unknown;
}

/** A client of a server's HTTP API. Failed calls reject with a `RoomfulApiError`. */
export class RoomfulApi {
  readonly #caller: Caller;

  /**
   * `url` is the server's address, such as `https://chat.example.com`.
   *
   * @throws RangeError for an address without `http://` or `https://`, and without a key.
   */
  constructor(url: string, options: RoomfulApiOptions) {
    this.#caller = new Caller(url, options);
  }

  // ---- rooms and members

  /** All rooms, ordered by name. Fetches further pages on demand. */
  rooms(query: Filter<"listRooms"> = {}): AsyncGenerator<Schemas["RoomInfo"]> {
    return this.#caller.pages("rooms", query, (page: Schemas["Rooms"]) => [page.rooms, page.next]);
  }

  /** A room with its members. */
  room(room: string): Promise<Schemas["RoomWithMembers"]> {
    return this.#caller.call("GET", path`rooms/${room}`);
  }

  /** Creates or changes a room. */
  putRoom(room: string, change: Schemas["ChangeRoom"] = {}): Promise<Schemas["RoomWithMembers"]> {
    return this.#caller.call("PUT", path`rooms/${room}`, change);
  }

  /** Deletes a room with all its messages. */
  deleteRoom(room: string): Promise<Schemas["RemovedRoom"]> {
    return this.#caller.call("DELETE", path`rooms/${room}`);
  }

  /** All members of a room. Fetches further pages on demand. */
  members(room: string, query: Filter<"listMembers"> = {}): AsyncGenerator<Schemas["Member"]> {
    const split = (page: Schemas["Members"]) => [page.members, page.next] as const;
    return this.#caller.pages(path`rooms/${room}/members`, query, split);
  }

  /** Adds a member or changes their role. */
  putMember(room: string, user: string, change: Schemas["ChangeMember"] = {}): Promise<Schemas["Member"]> {
    return this.#caller.call("PUT", path`rooms/${room}/members/${user}`, change);
  }

  /** Removes a member and ends the subscriptions of all their sockets. */
  removeMember(room: string, user: string): Promise<Schemas["RemovedMember"]> {
    return this.#caller.call("DELETE", path`rooms/${room}/members/${user}`);
  }

  // ---- messages and notifications

  /** Posts a message. Pass a `clientId` of your own to be able to repeat the call after a crash. */
  async post(room: string, message: Schemas["NewMessage"]): Promise<Schemas["Sent"]> {
    // The same clientId in all attempts makes them one message.
    const body = { ...message, clientId: message.clientId ?? crypto.randomUUID() };
    return this.#caller.call("POST", path`rooms/${room}/messages`, body);
  }

  /** A page of a room's messages. `allMessages` reads all pages. */
  messages(room: string, query: Query<"readMessages"> = {}): Promise<Schemas["HistoryPage"]> {
    return this.#caller.call("GET", path`rooms/${room}/messages` + search(query));
  }

  /** All messages of a room after a seq, oldest first. Fetches further pages on demand. */
  async *allMessages(room: string, { after = 0 } = {}): AsyncGenerator<Schemas["Message"]> {
    for (;;) {
      const page = await this.messages(room, { after });
      yield* page.messages;
      if (!page.moreAfter) return;
      after = page.upTo;
    }
  }

  /** Posts a notification. Pass an `id` of your own to be able to repeat the call after a crash. */
  async notify(notification: Schemas["NewNotification"]): Promise<Schemas["PostedNotification"]> {
    const body = { ...notification, id: notification.id ?? crypto.randomUUID() };
    return this.#caller.call("POST", "notifications", body);
  }

  // ---- users

  /** A user's true state, with profile and devices. For your backend only: it shows invisible users. */
  user(user: string): Promise<Schemas["User"]> {
    return this.#caller.call("GET", path`users/${user}`);
  }

  /** Changes a user's profile. Absent fields keep their value, `null` removes one. */
  changeUser(user: string, change: Schemas["ChangeUser"]): Promise<Schemas["UserProfile"]> {
    return this.#caller.call("PUT", path`users/${user}`, change);
  }

  /** Users' presence as other users see it. */
  async presence(users: readonly string[]): Promise<Schemas["Presence"][]> {
    const at = `presence${search({ user: users })}`;
    const answer: Schemas["Presences"] = await this.#caller.call("GET", at);
    return answer.users;
  }

  /** Closes a user's connections. They can connect again with a valid token. */
  disconnect(user: string): Promise<Schemas["Disconnected"]> {
    return this.#caller.call("POST", path`users/${user}/disconnect`);
  }

  /** Closes a user's connections and refuses all tokens issued before now. */
  revoke(user: string): Promise<Schemas["VoidedTokens"]> {
    return this.#caller.call("POST", path`users/${user}/revoke`);
  }

  /**
   * All that is stored about a user, row by row; no row for an unknown user. If the rows end with an error,
   * the export is incomplete: start again.
   */
  exportUser(user: string): AsyncGenerator<ExportedRow> {
    return this.#caller.lines(path`users/${user}/export`);
  }

  /**
   * Erases a user everywhere, and resolves when all is done. Their messages are deleted, or stay without
   * their name. An attempt may take five minutes.
   */
  eraseUser(user: string, messages: Query<"eraseUser">["messages"]): Promise<Schemas["ErasedUser"]> {
    const at = path`users/${user}` + search({ messages });
    return this.#caller.call("DELETE", at, undefined, { atLeast: ERASURE });
  }

  /** The rooms of a user with their roles, the latest joined first. Fetches further pages on demand. */
  userRooms(user: string, query: Filter<"listUserRooms"> = {}): AsyncGenerator<Schemas["UserRoom"]> {
    const split = (page: Schemas["UserRooms"]) => [page.rooms, page.next] as const;
    return this.#caller.pages(path`users/${user}/rooms`, query, split);
  }

  // ---- bans and mutes

  /** Bans a user in all rooms: ends their memberships and connections, and refuses new ones. */
  putBan(user: string, sanction: Schemas["ImposeSanction"] = {}): Promise<Schemas["Sanction"]> {
    return this.#caller.call("PUT", path`users/${user}/ban`, sanction);
  }

  /** Ends a user's ban in all rooms. Bans in single rooms stay. */
  removeBan(user: string): Promise<Schemas["Sanction"]> {
    return this.#caller.call("DELETE", path`users/${user}/ban`);
  }

  /** The bans that hold in all rooms, ordered by user. Fetches further pages on demand. */
  bans(query: Filter<"listBans"> = {}): AsyncGenerator<Schemas["Sanction"]> {
    return this.#sanctions("bans", query);
  }

  /** Mutes a user in all rooms: they can't send, edit and react. */
  putMute(user: string, sanction: Schemas["ImposeSanction"] = {}): Promise<Schemas["Sanction"]> {
    return this.#caller.call("PUT", path`users/${user}/mute`, sanction);
  }

  /** Ends a user's mute in all rooms. Mutes in single rooms stay. */
  removeMute(user: string): Promise<Schemas["Sanction"]> {
    return this.#caller.call("DELETE", path`users/${user}/mute`);
  }

  /** The mutes that hold in all rooms, ordered by user. Fetches further pages on demand. */
  mutes(query: Filter<"listMutes"> = {}): AsyncGenerator<Schemas["Sanction"]> {
    return this.#sanctions("mutes", query);
  }

  /** Bans a user in a room: ends their membership, and refuses joins. */
  putRoomBan(
    room: string,
    user: string,
    sanction: Schemas["ImposeSanction"] = {},
  ): Promise<Schemas["Sanction"]> {
    return this.#caller.call("PUT", path`rooms/${room}/bans/${user}`, sanction);
  }

  /** Ends a user's ban in a room. */
  removeRoomBan(room: string, user: string): Promise<Schemas["Sanction"]> {
    return this.#caller.call("DELETE", path`rooms/${room}/bans/${user}`);
  }

  /** The bans of a room, ordered by user. Fetches further pages on demand. */
  roomBans(room: string, query: Filter<"listRoomBans"> = {}): AsyncGenerator<Schemas["Sanction"]> {
    return this.#sanctions(path`rooms/${room}/bans`, query);
  }

  /** Mutes a user in a room. */
  putRoomMute(
    room: string,
    user: string,
    sanction: Schemas["ImposeSanction"] = {},
  ): Promise<Schemas["Sanction"]> {
    return this.#caller.call("PUT", path`rooms/${room}/mutes/${user}`, sanction);
  }

  /** Ends a user's mute in a room. */
  removeRoomMute(room: string, user: string): Promise<Schemas["Sanction"]> {
    return this.#caller.call("DELETE", path`rooms/${room}/mutes/${user}`);
  }

  /** The mutes of a room, ordered by user. Fetches further pages on demand. */
  roomMutes(room: string, query: Filter<"listRoomMutes"> = {}): AsyncGenerator<Schemas["Sanction"]> {
    return this.#sanctions(path`rooms/${room}/mutes`, query);
  }

  /** A user's bans and mutes: first those in all rooms, then those in single rooms. */
  async userSanctions(user: string): Promise<Schemas["Sanction"][]> {
    const answer: Schemas["UserSanctions"] = await this.#caller.call("GET", path`users/${user}/sanctions`);
    return answer.sanctions;
  }

  // ---- blocks and reports

  /** Blocks a user for another one, as that one would do. */
  putBlock(user: string, blocked: string): Promise<Schemas["Block"]> {
    return this.#caller.call("PUT", path`users/${user}/blocks/${blocked}`);
  }

  /** Ends the user's block of another user. */
  removeBlock(user: string, blocked: string): Promise<Schemas["Block"]> {
    return this.#caller.call("DELETE", path`users/${user}/blocks/${blocked}`);
  }

  /** The users whom a user has blocked. Fetches further pages on demand. */
  blocks(user: string, query: Filter<"listBlocks"> = {}): AsyncGenerator<Schemas["Block"]> {
    const split = (page: Schemas["Blocks"]) => [page.users, page.next] as const;
    return this.#caller.pages(path`users/${user}/blocks`, query, split);
  }

  /** The messages that users have reported, oldest first. Fetches further pages on demand. */
  reports(query: Filter<"listReports"> = {}): AsyncGenerator<Schemas["Report"]> {
    const split = (page: Schemas["ReportList"]) => [page.reports, page.next] as const;
    return this.#caller.pages("moderation/reports", query, split);
  }

  /** Resolves an open report. If no answer comes, look at the report before you call again. */
  resolveReport(id: number, decision: Schemas["Resolve"]): Promise<Schemas["Decision"]> {
    // A second call would find no open report.
    return this.#caller.call("POST", path`moderation/reports/${id}`, decision, { once: true });
  }

  // ---- for operators

  /** A page of the audit log, oldest first: the newest records, or those before or after an id. */
  audit(query: Query<"listAudit"> = {}): Promise<Schemas["AuditRecords"]> {
    return this.#caller.call("GET", `audit${search(query)}`);
  }

  /** All records of the audit log after an id, oldest first. Fetches further pages on demand. */
  async *allAudit(query: Omit<Query<"listAudit">, "before"> = {}): AsyncGenerator<Schemas["AuditItem"]> {
    for (let { after = 0 } = query; ;) {
      const { records, more } = await this.audit({ ...query, after });
      yield* records;
      const last = records.at(-1);
      if (!more || !last) return;
      after = last.id;
    }
  }

  /** The connections of all nodes that answer in time. Fetches further pages on demand. */
  connections(query: Filter<"listConnections"> = {}): AsyncGenerator<Schemas["Connection"]> {
    const split = (page: Schemas["Connections"]) => [page.connections, page.next] as const;
    return this.#caller.pages("connections", query, split);
  }

  /** The state of the hooks on all nodes. */
  hooks(query: Query<"listHooks"> = {}): Promise<Schemas["Hooks"]> {
    return this.#caller.call("GET", `hooks${search(query)}`);
  }

  /** Why a user has or has not got a message. */
  explain(message: Query<"explainMessage">): Promise<Schemas["Explanation"]> {
    return this.#caller.call("GET", `explain${search(message)}`);
  }

  /** The newest records of webhooks and streams, newest first. */
  async webhookRecords(query: Query<"listRecords"> = {}): Promise<Schemas["Record"][]> {
    const answer: Schemas["Records"] = await this.#caller.call("GET", `webhooks/records${search(query)}`);
    return answer.records;
  }

  /** Sends a record again, whatever its state. */
  replayRecord(id: string): Promise<Schemas["Replayed"]> {
    return this.#caller.call("POST", path`webhooks/records/${id}/replay`, undefined, { once: true });
  }

  /** Sends all dead records again. */
  replayDeadRecords(): Promise<Schemas["Replayed"]> {
    return this.#caller.call("POST", "webhooks/replay", undefined, { once: true });
  }

  /** The name and the scopes of this client's key. */
  key(): Promise<Schemas["OwnKey"]> {
    return this.#caller.call("GET", "key");
  }

  /** Numbers of the server: connections, rooms, messages. */
  stats(): Promise<Schemas["Stats"]> {
    return this.#caller.call("GET", "stats");
  }

  /** The figures of the last three hours: of the node that answers, of a named one, or of all. */
  statsHistory(query: Query<"showStatsHistory"> = {}): Promise<Schemas["StatsHistory"]> {
    return this.#caller.call("GET", `stats/history${search(query)}`);
  }

  /** The settings in force of the node that answers, and what is unsafe about them. */
  settings(): Promise<Schemas["NodeSettings"]> {
    return this.#caller.call("GET", "settings");
  }

  #sanctions(at: string, query: object): AsyncGenerator<Schemas["Sanction"]> {
    return this.#caller.pages(at, query, (page: Schemas["Sanctions"]) => [page.sanctions, page.next]);
  }
}
