// The user's rooms with their last message and unread counts.

import { failureOf, type Failure, type InboxRow, type Message, type Request } from "./contract.ts";
import { WritableStore, type Store } from "./store.ts";

/** Rows in a page of the inbox: the server's limit. */
const PAGE = 100;
/** Milliseconds in which changes of the membership are coalesced. */
const COALESCE = 200;

/** The state of the inbox. */
export interface InboxSnapshot {
  /** The rooms, the one with the latest message first. */
  readonly rooms: readonly InboxRow[];
  readonly loading: boolean;
  readonly error?: Failure;
}

export class Inbox implements Store<InboxSnapshot> {
  readonly #request: Request;
  readonly #store = new WritableStore<InboxSnapshot>({ rooms: [], loading: false });
  #timer: ReturnType<typeof setTimeout> | undefined;

  constructor(request: Request) {
    this.#request = request;
  }

  readonly getSnapshot = (): InboxSnapshot => this.#store.getSnapshot();
  readonly getServerSnapshot = (): InboxSnapshot => this.#store.getServerSnapshot();
  readonly subscribe = (listener: () => void): (() => void) => this.#store.subscribe(listener);

  /** Fetches all rows. The client calls it on each new connection. */
  async load(): Promise<void> {
    this.#store.patch({ loading: true });
    const rooms: InboxRow[] = [];
    try {
      let after: string | undefined;
      do {
        const page = await this.#request("chat:inbox", {
          limit: PAGE,
          ...(after !== undefined && { after }),
        });
        rooms.push(...page.rooms);
        after = page.next;
      } while (after !== undefined);
      this.#store.set({ rooms, loading: false });
    } catch (thrown) {
      this.#store.patch({ loading: false, error: failureOf(thrown) });
    }
  }

  /** The membership has changed: fetches the rows again, once per burst. */
  changed(): void {
    this.#timer ??= setTimeout(() => {
      this.#timer = undefined;
      void this.load();
    }, COALESCE);
  }

  /** A new message in a subscribed room: its row moves to the top. */
  message(message: Message, counts?: { unread: number; mentions: number }): void {
    const { rooms } = this.getSnapshot();
    const row = rooms.find(({ room }) => room === message.room);
    if (!row) return this.changed();
    const newer = { ...row, lastMessage: message, head: Math.max(row.head, message.seq), ...counts };
    this.#store.patch({ rooms: [newer, ...rooms.filter((other) => other !== row)] });
  }

  /** New counts of a room. */
  counted(room: string, unread: number, mentions: number): void {
    const { rooms } = this.getSnapshot();
    const known = rooms.find((row) => row.room === room);
    if (known?.unread === unread && known.mentions === mentions) return;
    // A new message of a room that no view shows: its row has to move up with the message.
    if (!known || unread > known.unread) this.changed();
    const counted = rooms.map((row) => (row.room === room ? { ...row, unread, mentions } : row));
    this.#store.patch({ rooms: counted });
  }

  /** The user has left a room, or was removed from it. */
  removed(room: string): void {
    this.#store.patch({ rooms: this.getSnapshot().rooms.filter((row) => row.room !== room) });
  }

  close(): void {
    clearTimeout(this.#timer);
  }
}
