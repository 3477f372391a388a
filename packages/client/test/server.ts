// The real server for tests, and clients that talk to it.

import { spawnSync } from "node:child_process";

// @ts-expect-error: the end-to-end tests' helpers are plain JavaScript.
import { API_KEY, Roomful, binary } from "../../../e2e/lib/process.mjs";
// @ts-expect-error: likewise.
import { tokenFor } from "../../../e2e/lib/token.mjs";
import { RoomfulClient, type RoomfulClientOptions, type Store } from "../src/index.ts";

/** Milliseconds before a wait fails. Only a failing test waits that long. */
const PATIENCE = 20_000;

export interface Server {
  readonly url: string;
  readonly folder: string;
  end(signal: string): Promise<{ code: number | null }>;
  restart(): Promise<void>;
  stop(): Promise<void>;
}

export function startServer(env: Record<string, string> = {}): Promise<Server> {
  return Roomful.start({ env: { ROOMFUL_LIMITS: "off", ...env } }) as Promise<Server>;
}

/** Runs a command of the binary on the server's data, while the server is stopped. */
export function command(server: Server, ...args: string[]): void {
  const path = binary("ROOMFUL_BIN", "roomful") as string;
  const { status, stderr } = spawnSync(path, [...args, "--data", `${server.folder}/data`], {
    encoding: "utf8",
  });
  if (status !== 0) throw new Error(`roomful ${args.join(" ")}: ${stderr}`);
}

export const token = (user: string, claims: object = {}): string => tokenFor(user, claims) as string;

/** Posts a message over the HTTP API. */
export async function post(server: Server, room: string, text: string): Promise<void> {
  const answer = await api(server, "POST", `rooms/${room}/messages`, {
    userId: "backend",
    text,
    clientId: text,
  });
  if (answer.status !== 201) throw new Error(await answer.text());
}

export function api(server: Server, method: string, path: string, body: object): Promise<Response> {
  return fetch(`${server.url}/api/v1/${path}`, {
    method,
    headers: { authorization: `Bearer ${API_KEY as string}`, "content-type": "application/json" },
    body: JSON.stringify(body),
  });
}

const clients = new Set<RoomfulClient>();

/** A client that is connecting as `user`. */
export function clientFor(
  server: Server,
  user: string,
  options: Partial<RoomfulClientOptions> = {},
): RoomfulClient {
  const client = new RoomfulClient(server.url, { token: async () => token(user), ...options });
  clients.add(client);
  return client;
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
