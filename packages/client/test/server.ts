// The real server for tests, and clients that talk to it.

import { checkContract } from "../src/check.ts";
import type { TestRoomful } from "../../testing/src/index.ts";
import { RoomfulClient, type Room, type RoomfulClientOptions, type Store } from "../src/index.ts";

/** Milliseconds before a wait fails. Only a failing test waits that long. */
const PATIENCE = 20_000;

/** Posts a message over the HTTP API. */
export async function post(server: TestRoomful, room: string, text: string): Promise<void> {
  await server.api("POST", `rooms/${room}/messages`, { userId: "backend", text, clientId: text });
}

const clients = new Set<RoomfulClient>();

/** A client that is connecting as `user`. */
export function clientFor(
  server: TestRoomful,
  user: string,
  options: Partial<RoomfulClientOptions> = {},
): RoomfulClient {
  const client = new RoomfulClient(server.url, {
    token: async () => server.token(user),
    check: checkContract,
    ...options,
  });
  clients.add(client);
  return client;
}

/** Connects a client and joins a room. */
export async function enter(client: RoomfulClient, name: string): Promise<Room> {
  client.connect();
  const room = client.room(name);
  await room.join();
  await until(room, ({ joined }) => joined);
  return room;
}

export async function closeClients(): Promise<void> {
  await Promise.all([...clients].map((client) => client.close()));
  clients.clear();
}

/** Waits until the store's snapshot satisfies `wanted`, and resolves to it. */
export function until<T>(
  store: Store<T>,
  wanted: (snapshot: T) => boolean,
  patience = PATIENCE,
): Promise<T> {
  return new Promise((resolve, reject) => {
    const done = () => {
      clearTimeout(timer);
      unsubscribe();
    };
    const look = () => {
      const snapshot = store.getSnapshot();
      if (!wanted(snapshot)) return;
      done();
      resolve(snapshot);
    };
    const unsubscribe = store.subscribe(look);
    const timer = setTimeout(() => {
      done();
      reject(
        new Error(
          `not within ${patience} ms; last: ${JSON.stringify(store.getSnapshot()).slice(0, 2_000)}`,
        ),
      );
    }, patience);
    look();
  });
}
