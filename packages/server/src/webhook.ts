// Verification of webhooks, after the Standard Webhooks specification (https://www.standardwebhooks.com).

import { createHmac, timingSafeEqual } from "node:crypto";

/** Seconds by which a webhook's timestamp may differ from this machine's clock. */
const TOLERANCE = 300;

/** A verified webhook. */
export interface Webhook {
  /** The same for all attempts: remember the ids that you have handled. */
  readonly id: string;
  readonly type: string;
  /** ISO 8601. */
  readonly timestamp: string;
  readonly data: unknown;
}

/** A webhook that is not from the server, or was tampered with. Answer it with 401. */
export class WebhookError extends Error {
  override readonly name = "WebhookError";
}

/** Headers as Node, Express or `fetch` give them. */
export type WebhookHeaders = Headers | Readonly<Record<string, string | readonly string[] | undefined>>;

/**
 * Verifies a webhook and returns its content. `body` is the raw request body. `secret` is the endpoint's
 * `whsec_…`, or several during a rotation.
 *
 * @throws WebhookError if no signature matches, or the timestamp is more than five minutes off.
 */
export function verifyWebhook(
  secret: string | readonly string[],
  headers: WebhookHeaders,
  body: string | Uint8Array,
): Webhook {
  const id = header(headers, "webhook-id");
  const timestamp = header(headers, "webhook-timestamp");
  if (Math.abs(Date.now() / 1_000 - Number(timestamp)) > TOLERANCE || !/^\d+$/.test(timestamp))
    throw new WebhookError("the webhook's timestamp is more than five minutes off");
  const text = typeof body === "string" ? body : Buffer.from(body).toString("utf8");
  const expected = [secret].flat().map((one) => sign(one, `${id}.${timestamp}.${text}`));
  const given = header(headers, "webhook-signature")
    .split(" ")
    .filter((one) => one.startsWith("v1,"))
    .map((one) => Buffer.from(one.slice(3), "base64"));
  const valid = given.some((one) =>
    expected.some((own) => own.length === one.length && timingSafeEqual(own, one)),
  );
  if (!valid) throw new WebhookError("no signature of the webhook matches");
  return { id, ...(JSON.parse(text) as Omit<Webhook, "id">) };
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
