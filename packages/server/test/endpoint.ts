// An endpoint of an app for webhooks and hooks.

import { once } from "node:events";
import { createServer, type IncomingHttpHeaders } from "node:http";
import type { AddressInfo } from "node:net";

/** The secret of all endpoints in these tests. */
export const SECRET = `whsec_${Buffer.alloc(32, 7).toString("base64")}`;

/** A request with its raw body. */
export interface AppRequest {
  readonly path: string;
  readonly headers: IncomingHttpHeaders;
  readonly body: Buffer;
}

/** Returns the answer to a request, which goes out as JSON. */
export type Handler = (request: AppRequest) => object | void;

/** Starts an endpoint on a free port. If `handle` throws, the answer is 401. */
export async function startEndpoint(handle: Handler) {
  const server = createServer(async (request, response) => {
    const parts: Buffer[] = [];
    for await (const part of request) parts.push(part as Buffer);
    const { url: path = "", headers } = request;
    try {
      response.end(JSON.stringify(handle({ path, headers, body: Buffer.concat(parts) }) ?? {}));
    } catch (error) {
      response.writeHead(401).end(String(error));
    }
  }).listen(0, "127.0.0.1");
  await once(server, "listening");
  return {
    url: `http://127.0.0.1:${(server.address() as AddressInfo).port}/`,
    stop: () => void server.close(),
  };
}

/** Keeps values until a test asks for one. */
export class Inbox<T> {
  readonly #kept: T[] = [];
  readonly #listeners = new Set<() => void>();

  put(value: T): void {
    this.#kept.push(value);
    for (const listener of this.#listeners) listener();
  }

  /** The first value that fits, once it is there. */
  async next(fits: (value: T) => boolean): Promise<T> {
    for (;;) {
      const found = this.#kept.find(fits);
      if (found !== undefined) return found;
      await new Promise<void>((resolve) => this.#listeners.add(resolve));
    }
  }
}
