// The signature of webhooks and hooks, after the Standard Webhooks specification
// (https://www.standardwebhooks.com).

import { createHmac, timingSafeEqual } from "node:crypto";

/** Seconds by which a request's timestamp may differ from this machine's clock. */
const TOLERANCE = 300;

/** A request that is not from the server, or was tampered with. Answer it with 401. */
export class WebhookError extends Error {
  override readonly name = "WebhookError";
}

/** Headers as Node, Express or `fetch` give them. */
export type WebhookHeaders = Headers | Readonly<Record<string, string | readonly string[] | undefined>>;

/** The content of a request with a valid signature. */
export interface Signed {
  /** The same for all attempts. */
  readonly id: string;
  readonly content: Readonly<Record<string, unknown>>;
}

/**
 * Verifies the signature of a raw body and parses it.
 *
 * @throws WebhookError if no signature matches, the timestamp is more than five minutes off, or the body is
 *   not a JSON object.
 */
export function verified(
  secret: string | readonly string[],
  headers: WebhookHeaders,
  body: string | Uint8Array,
): Signed {
  const id = header(headers, "webhook-id");
  const timestamp = header(headers, "webhook-timestamp");
  if (Math.abs(Date.now() / 1_000 - Number(timestamp)) > TOLERANCE || !/^\d+$/.test(timestamp))
    throw new WebhookError("the timestamp is more than five minutes off");
  const text = typeof body === "string" ? body : Buffer.from(body).toString("utf8");
  const expected = [secret].flat().map((one) => sign(one, `${id}.${timestamp}.${text}`));
  const given = header(headers, "webhook-signature")
    .split(" ")
    .filter((one) => one.startsWith("v1,"))
    .map((one) => Buffer.from(one.slice(3), "base64"));
  const valid = given.some((one) =>
    expected.some((own) => own.length === one.length && timingSafeEqual(own, one)),
  );
  if (!valid) throw new WebhookError("no signature matches");
  return { id, content: object(text) };
}

function sign(secret: string, content: string): Buffer {
  const key = Buffer.from(secret.replace(/^whsec_/, ""), "base64");
  return createHmac("sha256", key).update(content).digest();
}

function header(headers: WebhookHeaders, name: string): string {
  const value = headers instanceof Headers ? headers.get(name) : headers[name];
  if (typeof value !== "string") throw new WebhookError(`the header ${name} is missing`);
  return value;
}

function object(text: string): Record<string, unknown> {
  try {
    const value: unknown = JSON.parse(text);
    if (typeof value === "object" && value !== null) return value as Record<string, unknown>;
  } catch {
    // The error below says the same.
  }
  throw new WebhookError("the body is not a JSON object");
}
