// Calls of the HTTP API: what to send, how to read the answer, and when to try again.

import { Deadline } from "./deadline.ts";
import { RoomfulApiError } from "./errors.ts";
import { jsonLines, parts } from "./lines.ts";

/** Statuses after which the same request can succeed. */
const TRANSIENT = new Set([429, 503]);
/** Statuses of a proxy that got no answer from the server, which may have carried out the request. */
const LOST = new Set([502, 504]);
/** The longest `Retry-After` that a call waits for, in milliseconds. */
const LONGEST_WAIT = 60_000;
/** The first and the longest back-off between attempts, in milliseconds. */
const BACK_OFF = [250, 5_000] as const;

/** Options of the API client. */
export interface RoomfulApiOptions {
  /** The value of `ROOMFUL_API_KEY`, or a key of `api.keys`. */
  readonly key: string;
  /** Milliseconds before an attempt counts as failed. Default: 10,000. */
  readonly timeout?: number;
  /** Attempts per call. Default: 4. */
  readonly attempts?: number;
  /** Another implementation of `fetch`. */
  readonly fetch?: typeof fetch;
}

/** How to make a call that differs from most. */
export interface CallOptions {
  /** A repeated call would have another effect or answer, so a lost answer is an error. */
  readonly once?: boolean;
  /** Milliseconds that an attempt gets at least, for calls that the server works on for long. */
  readonly atLeast?: number;
}

interface Call extends CallOptions {
  readonly method: string;
  /** Path and query, relative to `/api/v1/`. */
  readonly at: string;
  readonly body?: object | undefined;
}

/** Reads an answer with status 2xx, before its deadline. */
type Reader<T> = (answer: Response, deadline: Deadline) => Promise<T>;

type Outcome<T> = { readonly data: T } | { readonly transient: boolean; readonly error: RoomfulApiError };

/** Makes calls, and repeats them after transient failures. */
export class Caller {
  readonly #url: string;
  readonly #options: RoomfulApiOptions;

  constructor(url: string, options: RoomfulApiOptions) {
    if (!/^https?:\/\//i.test(url))
      throw new RangeError(`the server's address starts with http:// or https://, unlike "${url}"`);
    if (!options.key)
      throw new RangeError("the API key is missing; is the variable ROOMFUL_API_KEY set?");
    this.#url = `${url.replace(/\/+$/, "")}/api/v1`;
    this.#options = options;
  }

  /** Makes a call and parses its answer. */
  async call<T>(method: string, at: string, body?: object, options: CallOptions = {}): Promise<T> {
    const read = async (answer: Response) => ({ status: answer.status, text: await answer.text() });
    const { status, text } = await this.#send({ method, at, body, ...options }, read);
    try {
      return JSON.parse(text) as T;
    } catch {
      throw unexpected(status, text);
    }
  }

  /** All items of a list. `split` takes a page apart: its items, and the cursor of the next page. */
  async *pages<P, T>(
    at: string,
    query: object,
    split: (page: P) => readonly [readonly T[], string | null | undefined],
  ): AsyncGenerator<T> {
    for (let cursor: string | null | undefined; ;) {
      const page: P = await this.call("GET", `${at}${search({ ...query, ...(cursor && { cursor }) })}`);
      const [items, next] = split(page);
      yield* items;
      if (!next) return;
      cursor = next;
    }
  }

  /** The lines of an answer, each parsed. Once lines have come, failures are final. */
  async *lines<T>(at: string): AsyncGenerator<T> {
    const call: Call = { method: "GET", at };
    const body = await this.#send(call, async (answer, deadline) => parts(answer.body, deadline));
    try {
      yield* jsonLines<T>(body);
    } catch (cause) {
      throw unreachable(call, "incomplete answer", cause);
    }
  }

  async #send<T>(call: Call, read: Reader<T>): Promise<T> {
    const { attempts = 4 } = this.#options;
    for (let attempt = 1; ; attempt++) {
      const outcome = await this.#attempt(call, read);
      if ("data" in outcome) return outcome.data;
      const { retryAfter = 0 } = outcome.error;
      if (attempt >= attempts || !outcome.transient || retryAfter > LONGEST_WAIT) throw outcome.error;
      const [first, longest] = BACK_OFF;
      const backOff = Math.min(first * 2 ** (attempt - 1), longest) * (0.5 + Math.random() / 2);
      await new Promise((resolve) => setTimeout(resolve, outcome.error.retryAfter ?? backOff));
    }
  }

  async #attempt<T>(call: Call, read: Reader<T>): Promise<Outcome<T>> {
    const { key, timeout = 10_000, fetch: send = fetch } = this.#options;
    const { method, at, body, once = false, atLeast = 0 } = call;
    const deadline = new Deadline(Math.max(timeout, atLeast));
    try {
      const answer = await send(`${this.#url}/${at}`, {
        method,
        headers: { authorization: `Bearer ${key}`, ...(body && { "content-type": "application/json" }) },
        ...(body && { body: JSON.stringify(body) }),
        signal: deadline.signal,
      });
      if (answer.ok) return { data: await read(answer, deadline) };
      const after = retryAfter(answer.headers.get("retry-after"));
      const error = problem(answer.status, await answer.text(), after);
      return { transient: TRANSIENT.has(answer.status) || (!once && LOST.has(answer.status)), error };
    } catch (cause) {
      return { transient: !once, error: unreachable(call, "no answer", cause) };
    } finally {
      deadline.stop();
    }
  }
}

/** The error for an answer that did not come, or not to its end. */
function unreachable({ method, at }: Call, what: string, cause: unknown): RoomfulApiError {
  const why = cause instanceof Error ? cause.message : cause;
  const message = `${what} to ${method} /${at.split("?")[0]}: ${why}`;
  return new RoomfulApiError("unreachable", 0, message, { cause });
}

/** The server's error, or a plain one if a proxy answered instead. */
function problem(status: number, text: string, after: number | undefined): RoomfulApiError {
  const options = after === undefined ? {} : { retryAfter: after };
  try {
    const { error } = JSON.parse(text) as { error: { code: string; message: string } };
    return new RoomfulApiError(error.code, status, error.message, options);
  } catch {
    return unexpected(status, text, options);
  }
}

/** The error for an answer that is not the server's. */
function unexpected(status: number, text: string, options: { retryAfter?: number } = {}): RoomfulApiError {
  return new RoomfulApiError("unexpected_answer", status, `HTTP ${status}: ${text.slice(0, 200)}`, options);
}

/** Milliseconds, from a number of seconds or a date. */
function retryAfter(header: string | null): number | undefined {
  if (header === null) return undefined;
  const ms = /^\d+$/.test(header) ? Number(header) * 1_000 : Date.parse(header) - Date.now();
  return Number.isNaN(ms) ? undefined : Math.max(0, ms);
}

/**
 * A path with its names encoded. HTTP clients rewrite the segments `.` and `..`, even percent-encoded, so
 * these names take the server's other form, and so do names that look like it.
 */
export function path(parts: TemplateStringsArray, ...names: (string | number)[]): string {
  const encode = (name: string) =>
    /^(?:\.{1,2}$|~)/.test(name) ? `~${Buffer.from(name).toString("base64url")}` : encodeURIComponent(name);
  return parts.map((part, n) => part + (n < names.length ? encode(String(names[n])) : "")).join("");
}

/** A query string with a leading `?`, or nothing. A list repeats its parameter. */
export function search(query: object): string {
  const entries = Object.entries(query)
    .flatMap(([name, value]) => [value].flat().map((one: unknown) => [name, one]))
    .filter(([, value]) => value !== undefined && value !== null)
    .map(([name, value]) => [String(name), String(value)]);
  return entries.length === 0 ? "" : `?${new URLSearchParams(entries)}`;
}
