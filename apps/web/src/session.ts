// The session of a user: a token and its renewal. The tab keeps it, so that two tabs can be two users.

import { base } from "../../shared/base.ts";
import type { Shelf } from "../../shared/storage.ts";

export interface Session {
  token: string;
  userId: string;
  name: string;
  /** Milliseconds since 1970. */
  expiresAt: number;
  /** True if the name gets the next token. A pasted token cannot be renewed. */
  renewable: boolean;
}

/** A failed sign-in. The message is for the user. */
export class SignInError extends Error {}

const KEY = "session";

export function kept(shelf: Shelf): Session | undefined {
  const value = shelf.read(KEY) as Partial<Session> | null | undefined;
  if (
    typeof value?.token !== "string" ||
    typeof value.userId !== "string" ||
    typeof value.expiresAt !== "number"
  )
    return undefined;
  return {
    token: value.token,
    userId: value.userId,
    name: value.name ?? value.userId,
    expiresAt: value.expiresAt,
    renewable: value.renewable === true,
  };
}

export function keep(shelf: Shelf, session: Session): void {
  shelf.write(KEY, session);
}

export function forget(shelf: Shelf): void {
  shelf.remove(KEY);
}

/** True if the server offers sign-in by name. */
export async function devMode(): Promise<boolean> {
  try {
    const response = await fetch(`${base}/demo/config`, { headers: { accept: "application/json" } });
    if (!response.ok) return false;
    const config = (await response.json()) as { dev?: unknown };
    return config.dev === true;
  } catch {
    return false;
  }
}

/** Signs in by name, which only a server in dev mode allows. Rejects with a `SignInError`. */
export async function signIn(name: string): Promise<Session> {
  let response: Response;
  try {
    response = await fetch(`${base}/demo/sign-in`, {
      method: "POST",
      headers: { "content-type": "application/json", accept: "application/json" },
      body: JSON.stringify({ name }),
    });
  } catch {
    throw new SignInError("The page cannot reach the server. Check that it runs, then try again.");
  }
  const body = (await response.json().catch(() => undefined)) as
    (Partial<Session> & { error?: { message?: string } }) | undefined;
  if (!response.ok)
    throw new SignInError(body?.error?.message ?? `The server refused the sign-in (${response.status}).`);
  if (typeof body?.token !== "string" || typeof body.userId !== "string")
    throw new SignInError("The server's answer has no token. Try again.");
  const expiresAt =
    typeof body.expiresAt === "number"
      ? body.expiresAt
      : (claims(body.token)?.expiresAt ?? Date.now() + 3_600_000);
  return { token: body.token, userId: body.userId, name: body.name ?? name, expiresAt, renewable: true };
}

/** The session of a pasted token, unchecked: the server checks the signature. Throws a `SignInError`. */
export function fromToken(token: string, now: number): Session {
  const trimmed = token.trim();
  const found = claims(trimmed);
  if (!found)
    throw new SignInError("This is not a token. Paste the whole line that `roomful token` printed.");
  if (found.expiresAt <= now) throw new SignInError("This token has expired. Make a new one.");
  return { token: trimmed, ...found, renewable: false };
}

function claims(token: string): { userId: string; name: string; expiresAt: number } | undefined {
  try {
    const body = (token.split(".")[1] ?? "").replace(/-/g, "+").replace(/_/g, "/");
    const bytes = Uint8Array.from(atob(body), (char) => char.charCodeAt(0));
    const { sub, name, exp } = JSON.parse(new TextDecoder().decode(bytes)) as Record<string, unknown>;
    if (typeof sub !== "string" || typeof exp !== "number") return undefined;
    return { userId: sub, name: typeof name === "string" ? name : sub, expiresAt: exp * 1000 };
  } catch {
    return undefined;
  }
}
