// The public surface of @roomful/server.

export { RoomfulApi, RoomfulApiError, type RoomfulApiOptions } from "./api.ts";
export type { components } from "./openapi.ts";
export { mintToken, type TokenClaims } from "./token.ts";
export { verifyWebhook, WebhookError, type Webhook, type WebhookHeaders } from "./webhook.ts";
