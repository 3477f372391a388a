// Tokens: JWTs signed with the server's secret (HS256).

import { createHmac } from "node:crypto";

/** Claims of a token. */
export interface TokenClaims {
  /** The user's id. */
  readonly user: string;
  readonly name?: string;
  /** The URL of a picture. */
  readonly avatar?: string;
  /** Patterns of the rooms that the user may enter, such as `"team-*"`. Default: every public room. */
  readonly rooms?: readonly string[];
  /** `"moderator"` makes the user a moderator of all their rooms. */
  readonly roles?: readonly string[];
}

/**
 * Signs a token. `secret` is the value of `ROOMFUL_AUTH_SECRET`, at least 32 bytes; `ttl` is in seconds, from
 * `issuedAt` on.
 *
 * @throws TypeError if the secret or the user's id is no string.
 * @throws RangeError for a short secret, an empty user id, or a lifetime that is not positive.
 */
export function mintToken(
  secret: string,
  { user, ...claims }: TokenClaims,
  ttl = 3_600,
  issuedAt = new Date(),
): string {
  if (typeof secret !== "string")
    throw new TypeError("the secret must be a string; is the variable ROOMFUL_AUTH_SECRET set?");
  if (Buffer.byteLength(secret) < 32) throw new RangeError("the secret needs at least 32 bytes");
  if (typeof user !== "string") throw new TypeError("the user's id must be a string");
  if (user === "") throw new RangeError("the user's id is empty");
  if (!(ttl > 0)) throw new RangeError("the lifetime must be positive, in seconds");
  const iat = Math.floor(issuedAt.getTime() / 1_000);
  const header = encode({ alg: "HS256", typ: "JWT" });
  const payload = encode({ ...claims, sub: user, iat, exp: iat + Math.ceil(ttl) });
  const signature = createHmac("sha256", secret).update(`${header}.${payload}`).digest("base64url");
  return `${header}.${payload}.${signature}`;
}

const encode = (value: object): string => Buffer.from(JSON.stringify(value)).toString("base64url");
