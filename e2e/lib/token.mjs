// Tokens as a backend makes them: JWTs with HS256, by Node's own crypto.

import { createHmac } from "node:crypto";

import { SECRET } from "./process.mjs";

const base64url = (text) => Buffer.from(text).toString("base64url");

/** A token for `user`, valid for an hour; `claims` adds to or replaces the usual ones. */
export function tokenFor(user, claims = {}, secret = SECRET) {
  const exp = Math.floor(Date.now() / 1000) + 3600;
  const header = base64url(JSON.stringify({ alg: "HS256", typ: "JWT" }));
  const body = base64url(JSON.stringify({ sub: user, name: user, exp, presence: "everyone", ...claims }));
  const signature = createHmac("sha256", secret).update(`${header}.${body}`).digest("base64url");
  return `${header}.${body}.${signature}`;
}
