// The chat client of a session: it renews the token of a user who signed in by name.

import { RoomfulClient } from "@roomful/client";

import { base } from "../../shared/base.ts";
import { keep, signIn, type Session } from "./session.ts";
import { perTab } from "../../shared/storage.ts";

/** A token that ends within this time is renewed, in milliseconds. */
const RENEW_BEFORE = 90_000;

/** Strict mode renders twice, and two clients of one user would share one outbox. */
const clients = new WeakMap<Session, RoomfulClient>();

/** The client of the session. `over` is called when its token has expired and cannot be renewed. */
export function clientFor(session: Session, over: (why: string) => void): RoomfulClient {
  let client = clients.get(session);
  if (!client) clients.set(session, (client = newClient(session, over)));
  return client;
}

function newClient(first: Session, over: (why: string) => void): RoomfulClient {
  let session = first;
  const token = async (): Promise<string> => {
    const left = session.expiresAt - Date.now();
    if (left > RENEW_BEFORE) return session.token;
    if (session.renewable) {
      session = await signIn(session.name);
      keep(perTab, session);
    } else if (left <= 0) over("Your token has expired. Sign in again.");
    return session.token;
  };
  return new RoomfulClient(location.origin, {
    token,
    path: `${base}/socket.io/`,
    persistence: "indexeddb",
    profile: `${base}/${first.userId}`,
  });
}
