// Hooks: verification of the server's questions before an event happens, and the answers.

import { verified, WebhookError, type WebhookHeaders } from "./signature.ts";

/** The verified question of a hook. `event` tells which one it is. */
export type Hook = MessageHook | JoinHook | ConnectHook;

interface Question {
  /** The same for all attempts at one question. */
  readonly id: string;
  /** The id of the user who causes the event. */
  readonly user: string;
}

/** Asks before a message or an edit is stored. */
export interface MessageHook extends Question {
  readonly event: "message.send";
  readonly room: string;
  readonly message: HookMessage;
}

/** Asks before a user becomes a member of a room. */
export interface JoinHook extends Question {
  readonly event: "room.join";
  readonly room: string;
}

/** Asks before a connection with a valid token is accepted. */
export interface ConnectHook extends Question {
  readonly event: "connect";
  /** All claims of the token. */
  readonly claims: Readonly<Record<string, unknown>>;
}

/** A message that is about to be stored. */
export interface HookMessage {
  /** The seq of the message that an edit changes. Absent for a new message. */
  readonly seq?: number;
  readonly text: string;
  readonly clientId?: string;
  /** The seq of the message that it replies to. */
  readonly replyTo?: number;
  /** The ids of the mentioned users. */
  readonly mentions?: readonly string[];
  /** The app's own fields. An edit has none. */
  readonly metadata?: Readonly<Record<string, unknown>>;
}

/** The new parts of a message. A missing part stays as it is. */
export interface HookReplacement {
  readonly text?: string | undefined;
  /** `null` removes the metadata. An edit has none. */
  readonly metadata?: Readonly<Record<string, unknown>> | null | undefined;
}

/** An answer to a hook. Send it as JSON, with a status of 2xx. */
export type HookAnswer =
  | { readonly action: "allow" }
  | { readonly action: "refuse"; readonly reason?: string }
  | { readonly action: "replace"; readonly message: HookReplacement };

/**
 * Verifies the request of a hook and returns its question. `body` is the raw request body. `secret` is the
 * hook's `whsec_…`, or several during a rotation.
 *
 * @throws WebhookError if no signature matches, the timestamp is more than five minutes off, or the request
 *   is not that of a hook.
 */
export function verifyHook(
  secret: string | readonly string[],
  headers: WebhookHeaders,
  body: string | Uint8Array,
): Hook {
  const { id, content } = verified(secret, headers, body);
  if (typeof content["event"] !== "string" || typeof content["user"] !== "string")
    throw new WebhookError("this is not the request of a hook; verifyWebhook reads webhooks");
  return { ...content, id } as Hook;
}

/** The event happens. */
export function allow(): HookAnswer {
  return { action: "allow" };
}

/** The event does not happen. The client gets the error `refused` with this reason as its message. */
export function refuse(reason?: string): HookAnswer {
  return { action: "refuse", ...(reason !== undefined && { reason }) };
}

/**
 * The message is stored with these parts. Other fields do not count, so you can pass the message with your
 * changes: `replace({ ...hook.message, text })`.
 *
 * @throws TypeError if there is neither a text nor metadata.
 */
export function replace({ text, metadata }: HookReplacement): HookAnswer {
  if (text === undefined && metadata === undefined)
    throw new TypeError("a replacement needs a text or metadata");
  const message = { ...(text !== undefined && { text }), ...(metadata !== undefined && { metadata }) };
  return { action: "replace", message };
}
