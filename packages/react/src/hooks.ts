// Hooks on the client's stores. Each returns immutable values that keep their identity between changes.

import type {
  ConnectionState,
  Draft,
  Inbox,
  InboxSnapshot,
  Message,
  Notifications,
  NotificationsSnapshot,
  PresenceSnapshot,
  Room,
  RoomMessage,
  RoomSnapshot,
  Store,
} from "@roomful/client";
import { useCallback, useEffect, useMemo, useSyncExternalStore } from "react";

import { useClient, useReplyCell } from "./provider.tsx";
import { knownNames, namesIn, type Names } from "./text/names.ts";

/** The snapshot of any store of the client. */
export function useStore<T>(store: Store<T>): T {
  return useSyncExternalStore(store.subscribe, store.getSnapshot, store.getServerSnapshot);
}

/** The id of the user, or undefined until it is known. */
export function useUserId(): string | undefined {
  return useStore(useClient().user);
}

/**
 * Joins a room while the component is mounted. Returns its snapshot and the room with the user's actions.
 * Components that use the same room share one subscription.
 */
export function useRoom(name: string): readonly [RoomSnapshot, Room] {
  const room = useClient().room(name);
  const snapshot = useStore(room);
  useEffect(() => {
    // The snapshot tells a failure.
    room.join().catch(() => undefined);
    return () => room.release();
  }, [room]);
  return [snapshot, room];
}

/** The ids of the users whom the user has blocked. */
export function useBlocks(): ReadonlySet<string> {
  return useStore(useClient().blocks);
}

/** What `useMessages` returns. */
export interface MessagesView {
  /** By seq, then the messages that are not sent yet. */
  readonly messages: readonly RoomMessage[];
  readonly hasOlder: boolean;
  readonly loading: boolean;
  /** True if the messages come from the cache and may be outdated. */
  readonly stale: boolean;
  /** Loads a page of older messages. Rejects with a `RequestError`. */
  readonly loadOlder: () => Promise<void>;
  /** Sends a text or a draft. The message is in `messages` at once. */
  readonly send: (draft: Draft | string) => { clientId: string; sent: Promise<Message> };
}

/** Joins a room while the component is mounted, and returns its messages. */
export function useMessages(name: string): MessagesView {
  const [{ messages, hasOlder, loading, stale }, room] = useRoom(name);
  const loadOlder = useCallback(() => room.loadOlder(), [room]);
  const send = useCallback(
    (draft: Draft | string) => room.send(typeof draft === "string" ? { text: draft } : draft),
    [room],
  );
  return { messages, hasOlder, loading, stale, loadOlder, send };
}

/**
 * The others who are typing in a room, without blocked users, and a function to call on each input of the
 * user.
 */
export function useTyping(
  name: string,
): readonly [readonly { userId: string; name: string }[], (text?: string) => void] {
  const [snapshot, room] = useRoom(name);
  const { typing } = snapshot;
  const names = useNames(snapshot);
  const blocks = useBlocks();
  const people = useMemo(
    () => typing.filter((userId) => !blocks.has(userId)).map((userId) => ({ userId, name: names(userId) })),
    [typing, names, blocks],
  );
  const typed = useCallback((text?: string) => (text === "" ? room.stopTyping() : room.typing()), [room]);
  return [people, typed];
}

/** The presence of users by id, watched while the component is mounted. */
export function usePresence(userIds: readonly string[]): PresenceSnapshot {
  const { presence } = useClient();
  const key = JSON.stringify(userIds);
  useEffect(() => presence.watch(JSON.parse(key) as string[]), [presence, key]);
  return useStore(presence);
}

/** The user's rooms with last messages and unread counts, and the inbox with its actions. */
export function useInbox(): readonly [InboxSnapshot, Inbox] {
  const { inbox } = useClient();
  return [useStore(inbox), inbox];
}

/** The user's notifications, and their actions. */
export function useNotifications(): readonly [NotificationsSnapshot, Notifications] {
  const { notifications } = useClient();
  return [useStore(notifications), notifications];
}

/** The state of the connection, and a function that connects or retries at once. */
export function useConnection(): readonly [ConnectionState, () => void] {
  const client = useClient();
  const connect = useCallback(() => client.connect(), [client]);
  return [useStore(client.connection), connect];
}

/** The message that the room's composer replies to, and a function that sets it. */
export function useReply(
  name: string,
): readonly [RoomMessage | undefined, (message: RoomMessage | undefined) => void] {
  const cell = useReplyCell(name);
  return [useStore(cell), cell.set];
}

/** A function that gives the name of a user of the room. */
export function useNames({ members, messages }: RoomSnapshot): Names {
  // Few messages and marks bring a new name. Without one the function stays, and so do rows that have it.
  const known = useMemo(() => JSON.stringify(knownNames(members, messages)), [members, messages]);
  return useMemo(() => namesIn(JSON.parse(known) as [string, string][]), [known]);
}
