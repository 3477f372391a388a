// The HTTP API: one method per call, typed after docs/openapi.json, with retries and pages.

import type { components, operations } from "./openapi.ts";

type Schemas = components["schemas"];
type Query<O extends keyof operations> = NonNullable<operations[O]["parameters"]["query"]>;

/** Statuses after which the same request can succeed. */
const TRANSIENT = new Set([429, 502, 503, 504]);
/** The longest `Retry-After` that a call waits for, in milliseconds. */
const LONGEST_WAIT = 60_000;
/** The first and the longest back-off between attempts, in milliseconds. */
const BACK_OFF = [250, 5_000] as const;

/** Options of the API client. */
export interface RoomfulApiOptions {
  /** The value of `ROOMFUL_API_KEY`. */
  readonly key: string;
  /** Milliseconds before an attempt counts as failed. Default: 10,000. */
  readonly timeout?: number;
  /** Attempts per call. Default: 4. */
  readonly attempts?: number;
  /** Another implementation of `fetch`. */
  readonly fetch?: typeof fetch;
}

/** A call that failed. */
export class RoomfulApiError extends Error {
  /** The server's code, such as `not_found`; `unreachable` if no answer came. */
  readonly code: string;
  /** The HTTP status; 0 if no answer came. */
  readonly status: number;
  /** Milliseconds to wait before another attempt, if the server named them. */
  readonly retryAfter: number | undefined;

  constructor(
    code: string,
    status: number,
    message: string,
    options: ErrorOptions & { readonly retryAfter?: number } = {},
  ) {
    super(message, options);
    this.name = "RoomfulApiError";
    this.code = code;
    this.status = status;
    this.retryAfter = options.retryAfter;
  }
}

/** A client of a server's HTTP API. Failed calls reject with a `RoomfulApiError`. */
export class RoomfulApi {
  readonly #url: string;
  readonly #options: RoomfulApiOptions;

  /** `url` is the server's address, such as `https://chat.example.com`. */
  constructor(url: string, options: RoomfulApiOptions) {
    this.#url = `${url.replace(/\/+$/, "")}/api/v1`;
    this.#options = options;
  }

  // ---- rooms and members

  /** All rooms, ordered by name. Fetches further pages on demand. */
  rooms(query: Omit<Query<"listRooms">, "cursor"> = {}): AsyncGenerator<Schemas["RoomInfo"]> {
    return this.#pages("rooms", query, (page: Schemas["Rooms"]) => [page.rooms, page.next]);
  }

  room(room: string): Promise<Schemas["RoomWithMembers"]> {
    return this.#call("GET", path`rooms/${room}`);
  }

  /** Creates or changes a room. */
  putRoom(room: string, change: Schemas["ChangeRoom"] = {}): Promise<Schemas["RoomInfo"]> {
    return this.#call("PUT", path`rooms/${room}`, change);
  }

  /** Deletes a room with all its messages. */
  deleteRoom(room: string): Promise<Schemas["RemovedRoom"]> {
    return this.#call("DELETE", path`rooms/${room}`);
  }

  /** All members of a room. Fetches further pages on demand. */
  members(
    room: string,
    query: Omit<Query<"listMembers">, "cursor"> = {},
  ): AsyncGenerator<Schemas["Member"]> {
    return this.#pages(path`rooms/${room}/members`, query, (page: Schemas["Members"]) => [
      page.members,
      page.next,
    ]);
  }

  /** Adds a member or changes their role. */
  putMember(room: string, user: string, change: Schemas["ChangeMember"] = {}): Promise<Schemas["Member"]> {
    return this.#call("PUT", path`rooms/${room}/members/${user}`, change);
  }

  removeMember(room: string, user: string): Promise<Schemas["RemovedMember"]> {
    return this.#call("DELETE", path`rooms/${room}/members/${user}`);
  }

  // ---- messages and notifications

  /** Posts a message. Pass a `clientId` of your own to be able to repeat the call after a crash. */
  async post(room: string, message: Schemas["NewMessage"]): Promise<Schemas["Sent"]> {
    // The same clientId in all attempts makes them one message.
    const body = { ...message, clientId: message.clientId ?? crypto.randomUUID() };
    return this.#call("POST", path`rooms/${room}/messages`, body);
  }

  messages(room: string, query: Query<"readMessages"> = {}): Promise<Schemas["History"]> {
    return this.#call("GET", path`rooms/${room}/messages${search(query)}`);
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
    return this.#call("POST", "notifications", body);
  }

  // ---- users

  /** A user's true state, with devices. For your backend only: it shows invisible users. */
  user(user: string): Promise<Schemas["User"]> {
    return this.#call("GET", path`users/${user}`);
  }

  /** Users' presence as other users see it. */
  async presence(users: readonly string[]): Promise<Schemas["Presence"][]> {
    const answer: Schemas["Presences"] = await this.#call(
      "GET",
      `presence${search({ users: users.join(",") })}`,
    );
    return answer.users;
  }

  /** Closes a user's connections. They can connect again with a valid token. */
  disconnect(user: string): Promise<Schemas["Disconnected"]> {
    return this.#call("POST", path`users/${user}/disconnect`);
  }

  /** Closes a user's connections and refuses all tokens issued before now. */
  revoke(user: string): Promise<Schemas["VoidedTokens"]> {
    return this.#call("POST", path`users/${user}/revoke`);
  }

  stats(): Promise<Schemas["Stats"]> {
    return this.#call("GET", "stats");
  }

  // ---- inside

  async *#pages<P, T>(
    at: string,
    query: object,
    split: (page: P) => readonly [readonly T[], string | null | undefined],
  ): AsyncGenerator<T> {
    for (let cursor: string | null | undefined; ;) {
      const page: P = await this.#call("GET", `${at}${search({ ...query, ...(cursor && { cursor }) })}`);
      const [items, next] = split(page);
      yield* items;
      if (!next) return;
      cursor = next;
    }
  }

  /** Calls the API, and repeats the call after transient failures: every call is safe to repeat. */
  async #call<T>(method: string, at: string, body?: object): Promise<T> {
    const { attempts = 4 } = this.#options;
    for (let attempt = 1; ; attempt++) {
      const outcome = await this.#attempt<T>(method, at, body);
      if ("data" in outcome) return outcome.data;
      const { retryAfter = 0 } = outcome.error;
      if (attempt >= attempts || !outcome.transient || retryAfter > LONGEST_WAIT) throw outcome.error;
      const [first, longest] = BACK_OFF;
      const backOff = Math.min(first * 2 ** (attempt - 1), longest) * (0.5 + Math.random() / 2);
      await new Promise((resolve) => setTimeout(resolve, outcome.error.retryAfter ?? backOff));
    }
  }

  async #attempt<T>(method: string, at: string, body?: object): Promise<Outcome<T>> {
    const { key, timeout = 10_000, fetch: send = fetch } = this.#options;
    let answer: Response;
    let text: string;
    try {
      answer = await send(`${this.#url}/${at}`, {
        method,
        headers: { authorization: `Bearer ${key}`, ...(body && { "content-type": "application/json" }) },
        ...(body && { body: JSON.stringify(body) }),
        signal: AbortSignal.timeout(timeout),
      });
      text = await answer.text();
    } catch (cause) {
      const message = `no answer to ${method} /${at.split("?")[0]}: ${cause instanceof Error ? cause.message : cause}`;
      return { transient: true, error: new RoomfulApiError("unreachable", 0, message, { cause }) };
    }
    if (answer.ok) return { data: JSON.parse(text) as T };
    const after = retryAfter(answer.headers.get("retry-after"));
    return { transient: TRANSIENT.has(answer.status), error: problem(answer.status, text, after) };
  }
}

type Outcome<T> = { readonly data: T } | { readonly transient: boolean; readonly error: RoomfulApiError };

/** The server's error, or a plain one if a proxy answered instead. */
function problem(status: number, text: string, after: number | undefined): RoomfulApiError {
  const options = after === undefined ? {} : { retryAfter: after };
  try {
    const { error } = JSON.parse(text) as { error: { code: string; message: string } };
    return new RoomfulApiError(error.code, status, error.message, options);
  } catch {
    return new RoomfulApiError(
      "unexpected_answer",
      status,
      `HTTP ${status}: ${text.slice(0, 200)}`,
      options,
    );
  }
}

/** Milliseconds, from a number of seconds or a date. */
function retryAfter(header: string | null): number | undefined {
  if (header === null) return undefined;
  const ms = /^\d+$/.test(header) ? Number(header) * 1_000 : Date.parse(header) - Date.now();
  return Number.isNaN(ms) ? undefined : Math.max(0, ms);
}

/** A path with its names percent-encoded, `.` and `..` too. */
function path(parts: TemplateStringsArray, ...names: string[]): string {
  const encode = (name: string) =>
    name.startsWith("?")
      ? name
      : encodeURIComponent(name).replace(/^\.{1,2}$/, (dots) => "%2E".repeat(dots.length));
  return parts.map((part, n) => part + (n < names.length ? encode(names[n] ?? "") : "")).join("");
}

/** A query string, with a leading `?`, or nothing. */
function search(query: object): string {
  const entries = Object.entries(query).filter(([, value]) => value !== undefined && value !== null);
  return entries.length === 0 ? "" : `?${new URLSearchParams(entries.map(([k, v]) => [k, String(v)]))}`;
}
