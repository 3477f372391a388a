// Verification of webhooks: reports of events after they happened.

import { verified, WebhookError, type WebhookHeaders } from "./signature.ts";

/** A verified webhook. */
export interface Webhook {
  /** The same for all attempts: remember the ids that you have handled. */
  readonly id: string;
  readonly type: string;
  /** ISO 8601. */
  readonly timestamp: string;
  readonly data: unknown;
}

/**
 * Verifies a webhook and returns its content. `body` is the raw request body. `secret` is the endpoint's
 * `whsec_…`, or several during a rotation.
 *
 * @throws WebhookError if no signature matches, the timestamp is more than five minutes off, or the request
 *   is not a webhook.
 */
export function verifyWebhook(
  secret: string | readonly string[],
  headers: WebhookHeaders,
  body: string | Uint8Array,
): Webhook {
  const { id, content } = verified(secret, headers, body);
  const { type, timestamp, data } = content;
  if (typeof type !== "string" || typeof timestamp !== "string")
    throw new WebhookError("this is not a webhook; verifyHook reads requests of hooks");
  return { id, type, timestamp, data };
}
