// The public surface of @roomful/server.

export { RoomfulApi, type ExportedRow } from "./api.ts";
export type { RoomfulApiOptions } from "./caller.ts";
export { RoomfulApiError } from "./errors.ts";
export {
  allow,
  refuse,
  replace,
  verifyHook,
  type ConnectHook,
  type Hook,
  type HookAnswer,
  type HookMessage,
  type HookReplacement,
  type JoinHook,
  type MessageHook,
} from "./hook.ts";
export type { components } from "./openapi.ts";
export { WebhookError, type WebhookHeaders } from "./signature.ts";
export { mintToken, type TokenClaims } from "./token.ts";
export { verifyWebhook, type Webhook } from "./webhook.ts";
