// Calls of the HTTP API with the operator's key. Only this object has the key: a reload forgets it.

import { base } from "../../shared/base.ts";
import { sentence } from "./format.ts";

/** Milliseconds before a call without an answer fails. */
const PATIENCE = 10_000;

/** A call that failed; the message is for the operator. */
export class CallError extends Error {
  /** The HTTP status, or 0 without an answer. */
  readonly status: number;

  constructor(status: number, message: string) {
    super(message);
    this.status = status;
  }
}

export type Query = Readonly<Record<string, string | number | undefined>>;

export interface Reading {
  readonly query?: Query;
  readonly signal?: AbortSignal;
}

interface Sending {
  readonly body?: object | undefined;
  readonly signal?: AbortSignal | undefined;
}

export class Api {
  /** Hears that the server no longer takes the key. */
  onRefused: (why: string) => void = () => undefined;
  readonly #key: string;

  constructor(key: string) {
    this.#key = key;
  }

  /** GET of `path`, below `/api`. */
  get<T>(path: string, { query = {}, signal }: Reading = {}): Promise<T> {
    const given = Object.entries(query).flatMap(([name, value]) =>
      value === undefined || value === "" ? [] : [[name, String(value)]],
    );
    const search = new URLSearchParams(given).toString();
    return this.#call<T>("GET", search === "" ? path : `${path}?${search}`, { signal });
  }

  /** A call that changes something, below `/api`. */
  send<T>(method: "PUT" | "POST" | "DELETE", path: string, body?: object): Promise<T> {
    return this.#call<T>(method, path, { body });
  }

  /** Saves the answer to a GET of `path`, below `/api`, as a file. It may take as long as it takes. */
  async download(path: string, name: string): Promise<void> {
    const response = await this.#fetch("GET", path, {});
    const url = URL.createObjectURL(await response.blob());
    const link = document.createElement("a");
    link.href = url;
    link.download = name;
    link.click();
    // Some browsers read the file only after this turn.
    setTimeout(() => URL.revokeObjectURL(url), 60_000);
  }

  async #call<T>(method: string, path: string, { body, signal }: Sending): Promise<T> {
    const late = AbortSignal.timeout(PATIENCE);
    try {
      const both = signal ? AbortSignal.any([signal, late]) : late;
      const response = await this.#fetch(method, path, { body, signal: both });
      return (await response.json()) as T;
    } catch (thrown) {
      if (!late.aborted || signal?.aborted) throw thrown;
      throw new CallError(0, `The server did not answer within ${PATIENCE / 1000} seconds. Try again.`);
    }
  }

  /** The answer, if the call did what it should. */
  async #fetch(method: string, path: string, { body, signal }: Sending): Promise<Response> {
    // A header cannot carry other characters, and no key has them.
    if (!/^[\x21-\x7e]+$/.test(this.#key)) throw new CallError(401, explain(401, undefined, ""));
    const headers: Record<string, string> = { Authorization: `Bearer ${this.#key}` };
    if (body) headers["Content-Type"] = "application/json";
    try {
      const response = await fetch(`${base}/api${path}`, {
        method,
        headers,
        body: body ? JSON.stringify(body) : null,
        signal: signal ?? null,
        cache: "no-store",
        credentials: "omit",
        // A redirect could take the key to another place.
        redirect: "error",
      });
      if (!response.ok) {
        const error = await failure(response);
        if (response.status === 401) this.onRefused(error.message);
        throw error;
      }
      return response;
    } catch (thrown) {
      if (thrown instanceof CallError || signal?.aborted) throw thrown;
      throw new CallError(0, "The server did not answer. Check that it runs, and your network.");
    }
  }
}

async function failure(response: Response): Promise<CallError> {
  const answer: unknown = await response.json().catch(() => undefined);
  const message = (answer as { error?: { message?: unknown } } | undefined)?.error?.message;
  const said = typeof message === "string" ? message : "";
  return new CallError(
    response.status,
    explain(response.status, response.headers.get("Retry-After") ?? undefined, said),
  );
}

/** What a status means for the operator. `said` is the server's own text. */
export function explain(status: number, retryAfter: string | undefined, said: string): string {
  switch (status) {
    case 401:
      return "The server does not know this key. Check it, or use another one.";
    case 403:
      return sentence(said || "The key may not do this.");
    case 429: {
      const wait = retryAfter ? `${retryAfter} s` : "a minute";
      return `There were too many calls from your address. Wait ${wait} and try again.`;
    }
    case 503:
      return "The server is starting, stopping, or waits for its database. Try again in a few seconds.";
    default:
      return sentence(said || `The server answered with status ${status}.`);
  }
}

/** Makes a path of a template whose values are names of rooms, users and the like. */
export function path(texts: TemplateStringsArray, ...names: (string | number)[]): string {
  return texts.reduce((whole, text, index) => whole + segment(String(names[index - 1])) + text);
}

/** A name as a segment of a path. HTTP clients rewrite `.` and `..`, so the server reads `~` and base64. */
function segment(name: string): string {
  if (name !== "." && name !== ".." && !name.startsWith("~")) return encodeURIComponent(name);
  const bytes = String.fromCharCode(...new TextEncoder().encode(name));
  return `~${btoa(bytes).replaceAll("+", "-").replaceAll("/", "_").replaceAll("=", "")}`;
}
