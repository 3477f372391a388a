// The user's rooms with their last message and unread counts.

import { Burst } from "./burst.ts";
import { changed } from "./changes.ts";
import {
  failureOf,
  type Change,
  type Failure,
  type InboxRow,
  type Message,
  type Request,
  type ServerEvents,
} from "./contract.ts";
import { patiently } from "./patience.ts";
import type { Storage } from "./storage.ts";
import { ObservableStore } from "./store.ts";

/** Rows in a page of the inbox: the server's limit. The first page is kept across reloads. */
const PAGE = 100;
/** The key of the first page in the storage. */
const KEY = "inbox";
/** Milliseconds in which changes of the rows are coalesced before they are stored. */
const SAVE_AFTER = 1_000;

/** The state of the inbox. */
export interface InboxSnapshot {
  /** The rooms, the one with the latest message first. */
  readonly rooms: readonly InboxRow[];
  readonly loading: boolean;
  /** True if the rooms come from the storage and may be outdated. */
  readonly stale: boolean;
  readonly error?: Failure;
}

const EMPTY: InboxSnapshot = { rooms: [], loading: false, stale: false };

export interface InboxOptions {
  readonly request: Request;
  readonly storage: Storage;
  /** Resolves once the user who was signed in before is known. */
  readonly userRestored: Promise<void>;
  /** Called with all rooms of the user after each load. */
  readonly listed: (rooms: ReadonlySet<string>) => void;
}

/** What the user has read in a room, and what is left. */
export type ReadMarks = Pick<InboxRow, "readSeq" | "unread" | "mentions">;

/** The user's rooms, the one with the latest message first. */
export class Inbox extends ObservableStore<InboxSnapshot> {
  readonly #options: InboxOptions;
  /** Rooms whose row has changed since the present load began: its pages may be older. */
  readonly #touched = new Set<string>();
  /** Counts loads, so that one that takes long does not undo a later one. */
  #loads = 0;
  /** True if the membership has changed since the present load began. */
  #again = false;
  /** True once the rows of the storage are out of date. */
  #restored = false;
  readonly #fetches = new Burst(() => {
    // A load that is under way starts over after its end.
    if (!this.getSnapshot().loading) void this.load();
  });
  readonly #saves = new Burst(() => this.#save(), SAVE_AFTER);

  constructor(options: InboxOptions) {
    super(EMPTY);
    this.#options = options;
    void this.#restore();
  }

  /** Fetches all rows. The client calls it on each new connection. @internal */
  async load(): Promise<void> {
    const load = ++this.#loads;
    this.#touched.clear();
    this.#again = false;
    this.patch({ loading: true });
    try {
      const rows = await this.#read(() => load === this.#loads);
      if (!rows) return;
      this.#restored = true;
      this.set({ rooms: this.#withLive(rows), loading: false, stale: false });
      this.#saves.soon();
      if (this.#again) this.changed();
      else this.#options.listed(new Set(this.getSnapshot().rooms.map(({ room }) => room)));
    } catch (thrown) {
      if (load === this.#loads) this.patch({ loading: false, error: failureOf(thrown) });
    }
  }

  /** The membership has changed: fetches the rows again, once per burst. @internal */
  changed(): void {
    this.#again = true;
    this.#fetches.soon();
  }

  /** A new message in a subscribed room: its row moves to the top. @internal */
  message(message: Message, counts?: { unread: number; mentions: number }): void {
    const { room, seq } = message;
    this.#update(room, (row) => ({
      ...row,
      ...(seq > row.head && { lastMessage: message, head: seq }),
      ...counts,
    }));
  }

  /** A change of a message in a subscribed room, perhaps of the row's. @internal */
  change(room: string, change: Change): void {
    this.#update(room, (row) => ({
      ...row,
      head: Math.max(row.head, change.logSeq),
      ...(row.lastMessage?.seq === change.seq && { lastMessage: changed(row.lastMessage, change) }),
    }));
  }

  /** New counts of a room, and its last message. @internal */
  unread({ room, unread, mentions, head, lastMessage }: ServerEvents["chat:unread"]): void {
    this.#update(room, (row) => ({
      ...row,
      unread,
      mentions,
      ...(head > row.head && { head, lastMessage }),
    }));
  }

  /** The user's mark and counts of a room that they have read. @internal */
  counted(room: string, marks: ReadMarks): void {
    const known = this.getSnapshot().rooms.find((row) => row.room === room);
    const { readSeq, unread, mentions } = marks;
    if (!known || (known.readSeq >= readSeq && known.unread === unread && known.mentions === mentions))
      return;
    this.#update(room, (row) => ({ ...row, unread, mentions, readSeq: Math.max(row.readSeq, readSeq) }));
  }

  /** The user has left a room, or was removed from it. @internal */
  removed(room: string): void {
    this.#touched.add(room);
    this.#changeRows(this.getSnapshot().rooms.filter((row) => row.room !== room));
  }

  /** Another user has signed in, or the user has signed out. @internal */
  forget(): void {
    this.#saves.cancel();
    this.close();
    this.#restored = true;
    this.set(EMPTY);
  }

  /** Stores what has changed. @internal */
  close(): void {
    this.#loads += 1;
    this.#fetches.cancel();
    if (this.#saves.cancel()) this.#save();
  }

  /** Reads all pages, as soon as the server allows. Undefined once another load has begun. */
  async #read(wanted: () => boolean): Promise<InboxRow[] | undefined> {
    // Once the client is offline, the next connection loads the list again.
    const passes = ({ code, retryable }: Failure) => retryable && code !== "offline" && wanted();
    const rows: InboxRow[] = [];
    let after: string | undefined;
    do {
      const ask = { limit: PAGE, ...(after !== undefined && { after }) };
      const page = await patiently(passes, () => this.#options.request("chat:inbox", ask));
      rows.push(...page.rooms);
      after = page.next;
    } while (after !== undefined && wanted());
    return wanted() ? rows : undefined;
  }

  /** The rows of a load, with the counts and newer messages of rows that live events changed meanwhile. */
  #withLive(rows: readonly InboxRow[]): InboxRow[] {
    const loaded = new Map(rows.map((row) => [row.room, row]));
    const present = new Map(this.getSnapshot().rooms.map((row) => [row.room, row]));
    const changed = new Map(
      [...present].filter(
        // The numbers of a row from the storage may be of another epoch.
        ([room, { epoch }]) => this.#touched.has(room) && (loaded.get(room)?.epoch ?? epoch) === epoch,
      ),
    );
    // A room that rises while the pages are read may be on none of them.
    const risen = [...changed.values()].filter(({ room, head }) => head > (loaded.get(room)?.head ?? 0));
    const names = new Set(risen.map(({ room }) => room));
    const others = rows.filter(
      ({ room }) => !names.has(room) && (!this.#touched.has(room) || present.has(room)),
    );
    const counted = others.map((row) => {
      const { readSeq, unread, mentions } = changed.get(row.room) ?? row;
      return { ...row, readSeq: Math.max(readSeq, row.readSeq), unread, mentions };
    });
    return [...risen, ...counted];
  }

  /** Changes a row. With a newer message, it moves to the top. */
  #update(room: string, change: (row: InboxRow) => InboxRow): void {
    const { rooms } = this.getSnapshot();
    const row = rooms.find((known) => known.room === room);
    // The event of a room that became the user's comes with its own request for the rows.
    if (!row) return this.changed();
    this.#touched.add(room);
    const next = change(row);
    const others = rooms.filter((other) => other !== row);
    const risen = next.lastMessage && next.lastMessage.seq > (row.lastMessage?.seq ?? 0);
    this.#changeRows(risen ? [next, ...others] : rooms.map((other) => (other === row ? next : other)));
  }

  #changeRows(rooms: readonly InboxRow[]): void {
    this.patch({ rooms });
    this.#saves.soon();
  }

  async #restore(): Promise<void> {
    await this.#options.userRestored;
    const rooms = (await this.#options.storage.get(KEY)) as readonly InboxRow[] | undefined;
    // The rows of the server, or the sign-in of another user, may have come first.
    if (rooms && !this.#restored) this.patch({ rooms, stale: true });
    this.#restored = true;
  }

  #save(): void {
    const rooms = this.getSnapshot().rooms.slice(0, PAGE);
    void this.#options.storage.set(KEY, rooms);
  }
}
