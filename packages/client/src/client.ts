// The client: wires connection, rooms, outbox, inbox, notifications and presence together.

import { Blocks } from "./blocks.ts";
import { Connection, type ConnectionOptions, type ConnectionState } from "./connection.ts";
import {
  failureOf,
  type Change,
  type Failure,
  type Message,
  type ServerEvents,
  type Status,
} from "./contract.ts";
import { Inbox } from "./inbox.ts";
import { openIndexedDb } from "./indexeddb.ts";
import type { Law, LawCounts } from "./laws.ts";
import { Notifications } from "./notifications.ts";
import { Outbox, type OutboxMessage } from "./outbox.ts";
import { PresenceWatcher } from "./presence.ts";
import { Room } from "./room.ts";
import { RoomCache } from "./room_cache.ts";
import { MemoryStorage, SafeStorage, type Storage } from "./storage.ts";
import { WritableStore, type Store } from "./store.ts";
import { Tabs } from "./tabs.ts";

/** Rooms in one `chat:sync`. */
const SYNC_ROOMS = 100;
/** The stored id of the user, so that a cached room knows its own messages before the first connection. */
const USER = "user";
/** Rooms whose messages are kept across reloads. */
const CACHED_ROOMS = 100;

/** Milliseconds that `close` waits for the storage. */
const CLOSE_TIMEOUT = 5_000;

/** What tabs of one user tell each other. */
type TabMessage = OutboxMessage | { readonly signedOut: true };

/** Options of a client. */
export interface RoomfulClientOptions extends ConnectionOptions {
  /** Where rooms and unsent messages are kept across reloads. Default: memory. */
  readonly persistence?: "indexeddb" | "memory";
  /**
   * Separates the data of several users who take turns on one device. Default: the server's URL. Without it,
   * the data of a user is removed when another one signs in.
   */
  readonly profile?: string;
  /** Rooms whose messages are kept across reloads; the least recently used ones go first. Default: 100. */
  readonly cachedRooms?: number;
  /** Another implementation of the storage, instead of `persistence`. */
  readonly storage?: Storage;
}

/** The status that the user has chosen, on this or another device. */
export interface OwnStatus {
  readonly status: Status;
  readonly text: string | null;
}

/** The error of a room that the user was banned from, as a join would get it. */
const BANNED: Failure = { code: "banned", message: "You are banned from this room.", retryable: false };

const ONLINE: OwnStatus = { status: "online", text: null };

/** Events for code outside of views, such as sounds. */
export interface ClientEvents {
  /** A message of another user in an open room. */
  message: Message;
  notification: ServerEvents["notification:receive"];
  /** The user was added to a room, on whichever device. */
  roomAdded: ServerEvents["chat:room_added"];
  roomRemoved: ServerEvents["chat:room_removed"];
  /** A moderator has acted on the user, on a room, or on somebody in a room where the user is a moderator. */
  moderation: ServerEvents["chat:moderation"];
  /** The user has signed out in another tab, which ends this client, too. */
  signedOut: undefined;
}

/** A user's chat on one device: the connection, the rooms, and everything else of the user. */
export class RoomfulClient {
  /** The ids of the users whom the user has blocked. */
  readonly blocks: Blocks;
  readonly inbox: Inbox;
  readonly notifications: Notifications;
  readonly presence: PresenceWatcher;
  readonly #connection: Connection;
  readonly #outbox: Outbox;
  readonly #storage: SafeStorage;
  readonly #cache: RoomCache;
  readonly #tabs: Tabs<TabMessage>;
  /** Resolves once the user who was signed in before is known. */
  readonly #userRestored: Promise<void>;
  readonly #rooms = new Map<string, Room>();
  readonly #listeners = new Map<keyof ClientEvents, Set<(payload: never) => void>>();
  readonly #user = new WritableStore<string | undefined>(undefined);
  readonly #status = new WritableStore<OwnStatus>(ONLINE);

  constructor(url: string, options: RoomfulClientOptions) {
    const profile = `roomful:${options.profile ?? url}`;
    const persistent = options.storage === undefined && options.persistence === "indexeddb";
    const inner = options.storage ?? (persistent ? openIndexedDb(profile) : new MemoryStorage());
    this.#storage = new SafeStorage(Promise.resolve(inner));
    this.#cache = new RoomCache(this.#storage, options.cachedRooms ?? CACHED_ROOMS);
    this.#userRestored = this.#restoreUser();
    this.#connection = new Connection(url, options);
    const { request } = this.#connection;
    const common = { request, storage: this.#storage, userRestored: this.#userRestored };
    this.blocks = new Blocks(request);
    this.inbox = new Inbox({ ...common, listed: (rooms) => void this.#keepOnly(rooms) });
    this.notifications = new Notifications(request);
    this.presence = new PresenceWatcher(request);
    this.#tabs = new Tabs(persistent ? profile : undefined, (message) => {
      if ("signedOut" in message) this.#signedOut();
      else this.#outbox.heard(message);
    });
    this.#outbox = new Outbox({
      ...common,
      userId: () => this.userId,
      tabs: this.#tabs,
      entering: (room) => this.#rooms.get(room)?.entering ?? false,
      changed: (room) => this.#rooms.get(room)?.pendingChanged(),
      sendRefused: (room, refusal) => this.#rooms.get(room)?.sendRefused(refusal),
    });
    this.#listen();
  }

  /** The state of the connection. */
  get connection(): Store<ConnectionState> {
    return this.#connection.state;
  }

  /** The user's id, from the session or, before the first connection, from the storage. */
  get user(): Store<string | undefined> {
    return this.#user;
  }

  /** The present value of `user`. */
  get userId(): string | undefined {
    return this.#user.getSnapshot();
  }

  /** The user's own status. */
  get status(): Store<OwnStatus> {
    return this.#status;
  }

  /** The server's clock, in milliseconds since 1970: this device's clock may be wrong. */
  serverNow(): number {
    return this.#connection.serverNow();
  }

  /** Connects, and stays connected until `close`. */
  connect(): void {
    this.#connection.connect();
  }

  /**
   * Disconnects. Unsent messages stay in the outbox. Resolves once the storage has them, and the latest
   * changes of rooms and inbox. It waits for the storage for 5 s at most.
   */
  async close(): Promise<void> {
    this.#disconnect();
    let timer: ReturnType<typeof setTimeout> | undefined;
    const patience = new Promise((resolve) => (timer = setTimeout(resolve, CLOSE_TIMEOUT)));
    // The order of the rooms is stored with them.
    const stored = this.#cache.names().then(() => this.#storage.settled());
    await Promise.race([stored, patience]).finally(() => clearTimeout(timer));
  }

  /**
   * Disconnects, and removes everything from the device: cached rooms and unsent messages. The user's other
   * tabs do the same. Resolves once the storage is empty. Rooms that the app still holds are empty, store
   * nothing more, and refuse to send.
   */
  async signOut(): Promise<void> {
    this.#tabs.tell({ signedOut: true });
    const cleared = this.#storage.clear();
    this.#end();
    await cleared;
  }

  /** A room. The same name gives the same object. */
  room(name: string): Room {
    let room = this.#rooms.get(name);
    if (!room) {
      room = new Room({
        name,
        request: this.#connection.request,
        outbox: this.#outbox,
        cache: this.#cache,
        userId: () => this.userId,
        userRestored: this.#userRestored,
        moderator: () => this.#connection.roles.includes("moderator"),
        serverNow: this.#connection.serverNow,
        connection: this.#connection.state,
        listed: async () => {
          await this.inbox.load();
          return this.inbox.getSnapshot().rooms.find((row) => row.room === name);
        },
        counted: (marks) => this.inbox.counted(name, marks),
      });
      this.#rooms.set(name, room);
    }
    return room;
  }

  /** Sets the user's status on all their devices. */
  async setStatus(status: Status, text?: string): Promise<void> {
    await this.#connection.request("presence:set_status", { status, ...(text !== undefined && { text }) });
    this.#status.set({ status, text: text || null });
    // The server tells only the other devices.
    this.#peopleChanged();
  }

  /**
   * Blocks a user: their mentions, notifications and presence requests no longer reach this user, and in any
   * room with these two members only, public or private, neither can write. In common rooms both still see
   * each other's messages and presence: views hide those of the users in `blocks`.
   */
  async block(userId: string): Promise<void> {
    await this.blocks.ask(userId, true);
  }

  /** Ends a block. */
  async unblock(userId: string): Promise<void> {
    await this.blocks.ask(userId, false);
  }

  /** Calls `handler` for each event. Returns a function that ends this. */
  on<E extends keyof ClientEvents>(event: E, handler: (payload: ClientEvents[E]) => void): () => void {
    const handlers = this.#listeners.get(event) ?? new Set();
    this.#listeners.set(event, handlers);
    handlers.add(handler as (payload: never) => void);
    return () => handlers.delete(handler as (payload: never) => void);
  }

  /** Counts over all rooms of the entries handed to the app, and of violations of the log's laws. */
  get laws(): LawCounts {
    const violations: Record<Law, number> = { ascending: 0, dense: 0, once: 0 };
    let entries = 0;
    for (const { laws } of this.#rooms.values()) {
      entries += laws.entries;
      for (const law of Object.keys(violations) as Law[]) violations[law] += laws.violations[law];
    }
    return { entries, violations };
  }

  #emit<E extends keyof ClientEvents>(event: E, payload: ClientEvents[E]): void {
    for (const handler of this.#listeners.get(event) ?? []) handler(payload as never);
  }

  #listen(): void {
    const connection = this.#connection;
    connection.on("session", ({ userId, recovered }) => {
      // A status other than online follows as an event.
      this.#status.set(ONLINE);
      this.#signedIn(userId);
      void this.#connected(recovered);
    });
    connection.state.subscribe(() => {
      if (connection.state.getSnapshot().state === "online") return;
      this.#outbox.offline();
      for (const room of this.#rooms.values()) if (room.getSnapshot().joined) room.offline();
    });
    connection.on("chat:receive_message", (message) => this.#message(message));
    const change = (type: Change["type"]) => (live: Omit<Change, "type"> & { room: string }) => {
      this.#open(live.room)?.change({ ...live, type });
      this.inbox.change(live.room, { ...live, type });
    };
    connection.on("chat:message_edited", change("edited"));
    connection.on("chat:message_deleted", change("deleted"));
    connection.on("chat:reaction", change("reaction"));
    connection.on("chat:typing_start", ({ room, userId }) => this.#open(room)?.typed(userId, true));
    connection.on("chat:typing_stop", ({ room, userId }) => this.#open(room)?.typed(userId, false));
    connection.on("chat:message_read", ({ room, userId, seq }) => this.#open(room)?.marked(userId, seq));
    connection.on("chat:unread", (counts) => {
      this.#open(counts.room)?.counted(counts.unread, counts.mentions);
      this.inbox.unread(counts);
    });
    connection.on("chat:member_joined", ({ room }) => this.#open(room)?.membersChanged(true));
    connection.on("chat:member_left", ({ room }) => this.#open(room)?.membersChanged(true));
    connection.on("chat:moderation", (act) => {
      const concerned = act.room === undefined ? [...this.#rooms.values()] : [this.#open(act.room)];
      for (const room of concerned) room?.moderated(act);
      this.#emit("moderation", act);
    });
    connection.on("chat:room_state", (state) => this.#open(state.room)?.stands(state));
    connection.on("chat:room_deleted", ({ room }) => this.#removed(room));
    connection.on("chat:room_removed", (removed) => {
      this.#removed(removed.room, removed.reason === "banned" ? BANNED : undefined);
      this.#emit("roomRemoved", removed);
    });
    connection.on("chat:room_added", (added) => {
      const room = this.#open(added.room);
      // A view still shows a room that the user has lost before.
      if (room?.wanted && !room.getSnapshot().joined) void room.catchUp();
      this.inbox.changed();
      this.#emit("roomAdded", added);
    });
    this.#listenToPeople();
  }

  #peopleChanged(): void {
    for (const room of this.#rooms.values()) room.membersChanged();
  }

  #listenToPeople(): void {
    const connection = this.#connection;
    connection.on("presence:online", ({ userId, status = "online", text = null }) => {
      this.presence.changed({ userId, status, text });
      this.#peopleChanged();
    });
    connection.on("presence:offline", ({ userId, lastSeen }) => {
      this.presence.changed({ userId, status: "offline", text: null, lastSeen });
      this.#peopleChanged();
    });
    connection.on("presence:status", ({ userId, status, text }) => {
      if (userId === this.userId && status !== "offline") this.#status.set({ status, text });
      this.presence.changed({ userId, status, text });
      this.#peopleChanged();
    });
    connection.on("user:updated", (updated) => {
      for (const room of this.#rooms.values()) room.profileChanged(updated);
    });
    connection.on("notification:receive", (notification) => {
      if (this.notifications.received(notification)) this.#emit("notification", notification);
    });
    connection.on("user:block_changed", ({ userId, blocked }) => this.blocks.changed(userId, blocked));
    connection.on("notification:unread", ({ unread }) => this.notifications.counted(unread));
  }

  async #restoreUser(): Promise<void> {
    const stored = await this.#storage.get(USER);
    if (typeof stored !== "string") return;
    if (this.userId === undefined) this.#knowUser(stored);
    // The session has come first.
    else if (this.userId !== stored) this.#replaceUser();
  }

  #signedIn(userId: string): void {
    const before = this.userId;
    if (before === userId) return;
    this.#knowUser(userId);
    if (before !== undefined) this.#replaceUser();
    else void this.#storage.set(USER, userId);
  }

  #knowUser(userId: string): void {
    this.#user.set(userId);
    this.#tabs.user = userId;
    this.#outbox.signedIn();
    for (const room of this.#rooms.values()) room.pendingChanged();
  }

  /** The storage has the data of another user, who did not sign out: only that of this one stays. */
  #replaceUser(): void {
    for (const room of this.#rooms.values()) room.forget();
    this.inbox.forget();
    this.#cache.cleared();
    void this.#storage.clear();
    void this.#storage.set(USER, this.userId);
    void this.#outbox.store();
  }

  #disconnect(): void {
    this.#connection.close();
    for (const room of this.#rooms.values()) room.close();
    this.inbox.close();
    this.#outbox.close();
    this.#tabs.close();
  }

  /** Disconnects and forgets everything but the storage. */
  #end(): void {
    for (const room of this.#rooms.values()) room.end();
    this.inbox.forget();
    this.#outbox.forget();
    this.#cache.cleared();
    this.#disconnect();
    this.#rooms.clear();
    this.#user.set(undefined);
  }

  /** The user has signed out in another tab, which clears the storage. */
  #signedOut(): void {
    // The id may be that of the next user.
    void this.#storage.retract(USER);
    this.#end();
    this.#emit("signedOut", undefined);
  }

  /** Removes what is kept of rooms that the user has lost while this device was away. */
  async #keepOnly(rooms: ReadonlySet<string>): Promise<void> {
    for (const name of await this.#cache.names()) {
      const room = this.#open(name);
      // A room with a view learns it from the answer to its join.
      if (rooms.has(name) || room?.wanted || room?.getSnapshot().joined) continue;
      if (room) room.lost();
      else void this.#cache.delete(name);
    }
  }

  /** The room, if the app has asked for it. */
  #open(name: string): Room | undefined {
    return this.#rooms.get(name);
  }

  #message(message: Message): void {
    const room = this.#open(message.room);
    room?.message(message);
    const counts = room?.getSnapshot();
    this.inbox.message(message, counts && { unread: counts.unread, mentions: counts.mentions });
    if (message.userId !== this.userId) this.#emit("message", message);
  }

  #removed(room: string, error?: Failure): void {
    const open = this.#open(room);
    if (open) open.lost(error);
    else void this.#cache.delete(room);
    this.inbox.removed(room);
  }

  async #connected(recovered: boolean): Promise<void> {
    this.presence.connected();
    void this.inbox.load();
    this.blocks.load().catch(() => undefined);
    this.notifications.load().catch(() => undefined);
    this.#outbox.online();
    for (const room of this.#rooms.values()) room.began(recovered);
    const wanted = [...this.#rooms.values()].filter((room) => room.wanted);
    if (recovered) await Promise.all(wanted.map((room) => room.resumed()));
    else {
      await Promise.all(wanted.map((room) => room.restored));
      const known = wanted.filter((room) => room.position !== undefined);
      const fresh = wanted.filter((room) => room.position === undefined);
      await Promise.all([this.#sync(known), ...fresh.map((room) => room.catchUp())]);
    }
  }

  /** Resumes rooms in as few requests as possible. */
  async #sync(rooms: Room[]): Promise<void> {
    for (let at = 0; at < rooms.length; at += SYNC_ROOMS) {
      const some = rooms.slice(at, at + SYNC_ROOMS);
      const positions = some.map(({ position }) => position).filter((position) => position !== undefined);
      try {
        const { rooms: answers } = await this.#connection.request("chat:sync", { rooms: positions });
        await Promise.all(
          answers.map((answer) => {
            const room = this.#open(answer.room);
            return "error" in answer ? room?.refused(answer.error) : room?.catchUp(answer);
          }),
        );
      } catch (thrown) {
        for (const room of some) if (failureOf(thrown).code !== "offline") room.refused(failureOf(thrown));
      }
    }
  }
}
