// A Node backend: it creates a room, posts into it, and answers messages that it hears of by webhook.

import { createServer } from "node:http";

import { mintToken, RoomfulApi, verifyWebhook, WebhookError } from "@roomful/server";

const { PORT, ROOMFUL_URL, ROOMFUL_API_KEY, ROOMFUL_AUTH_SECRET, ROOMFUL_HOOK_SECRET } = process.env;
const api = new RoomfulApi(ROOMFUL_URL, { key: ROOMFUL_API_KEY });

await api.putRoom("support", { kind: "private" });
await api.putMember("support", "alice");

async function body(request) {
  const parts = [];
  for await (const part of request) parts.push(part);
  return Buffer.concat(parts);
}

/** Answers `/time` as a bot. A webhook can come twice: the clientId makes the answer one message. */
async function answer({ id, type, data }) {
  if (type !== "message.created" || data.userId === "bot" || data.text !== "/time") return;
  const text = `It is ${new Date().toISOString()}.`;
  await api.post(data.room, { userId: "bot", text, replyTo: data.seq, clientId: id });
}

createServer(async (request, response) => {
  const url = new URL(request.url, "http://localhost");
  if (url.pathname === "/chat-token") {
    response.end(mintToken(ROOMFUL_AUTH_SECRET, { user: url.searchParams.get("user") ?? "guest" }));
  } else if (url.pathname === "/chat-server") {
    response.end(ROOMFUL_URL);
  } else if (request.method === "POST" && url.pathname === "/hooks/chat") {
    try {
      const webhook = verifyWebhook(ROOMFUL_HOOK_SECRET, request.headers, await body(request));
      await answer(webhook);
      response.writeHead(204).end();
    } catch (error) {
      // After any other status than 2xx, the server sends the webhook again.
      response.writeHead(error instanceof WebhookError ? 401 : 503).end();
    }
  } else {
    response.writeHead(404).end();
  }
}).listen(Number(PORT), "127.0.0.1", () =>
  console.log(`ready: http://127.0.0.1:${PORT}/chat-token?user=alice`),
);
