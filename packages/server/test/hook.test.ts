// Hooks of the real server, decided by an endpoint that uses the package.

import { createHmac } from "node:crypto";

import { afterAll, beforeAll, expect, test } from "vitest";

import { startRoomful, type TestRoomful } from "../../testing/src/index.ts";
import {
  allow,
  refuse,
  replace,
  RoomfulApi,
  verifyHook,
  verifyWebhook,
  WebhookError,
  type Hook,
  type HookAnswer,
} from "../src/index.ts";
import { ChatUser } from "./chat_user.ts";
import { Inbox, SECRET, startEndpoint } from "./endpoint.ts";

function decide(hook: Hook): HookAnswer {
  switch (hook.event) {
    case "message.send":
      if (hook.message.text.includes("casino")) return refuse("no advertising");
      if (hook.message.text.includes("secret")) return replace({ metadata: null });
      return replace({ ...hook.message, text: hook.message.text.replaceAll("darn", "****") });
    case "room.join":
      return hook.user === "guest" ? refuse() : allow();
    case "connect":
      return hook.claims["name"] === "Mallory" ? refuse("not you") : allow();
  }
}

const hooks = new Inbox<Hook>();
let endpoint: Awaited<ReturnType<typeof startEndpoint>>;
let server: TestRoomful;
let api: RoomfulApi;
beforeAll(async () => {
  endpoint = await startEndpoint(({ headers, body }) => {
    // A webhook's reader does not take a question for an event.
    expect(() => verifyWebhook(SECRET, headers, body)).toThrow(/verifyHook/);
    const hook = verifyHook(["whsec_AAAA", SECRET], headers, body);
    hooks.put(hook);
    return decide(hook);
  });
  const address = `url = "${endpoint.url}", secret = "${SECRET}"`;
  const settings = ["message.send", "room.join", "connect"].map(
    (event) => `{ event = "${event}", ${address}, on_failure = "refuse", timeout = "15s" }`,
  );
  server = await startRoomful({ env: { ROOMFUL__HOOKS: `[${settings.join(", ")}]` } });
  api = new RoomfulApi(server.url, { key: server.apiKey });
  await api.putRoom("lobby", { kind: "public" });
});
afterAll(async () => {
  await server?.stop();
  endpoint?.stop();
});

test("a message is allowed, refused or replaced", async () => {
  const post = (text: string, more = {}) => api.post("lobby", { userId: "bot", text, ...more });
  await post("darn, ünïcode", { mentions: ["bob"], metadata: { n: 1 } });
  await expect(post("come to our casino")).rejects.toMatchObject({
    code: "refused",
    message: "no advertising",
  });
  await post("a secret", { metadata: { n: 2 } });
  const { messages } = await api.messages("lobby");
  expect(messages.map(({ text, metadata }) => [text, metadata])).toEqual([
    ["****, ünïcode", { n: 1 }],
    ["a secret", undefined],
  ]);
  const hook = await hooks.next(({ event }) => event === "message.send");
  expect(hook).toEqual({
    id: expect.stringMatching(/^hook_/),
    event: "message.send",
    user: "bot",
    room: "lobby",
    message: {
      text: "darn, ünïcode",
      clientId: expect.any(String),
      mentions: ["bob"],
      metadata: { n: 1 },
    },
  });
});

test("an edit says which message it changes, and may be sent back", async () => {
  const ann = await ChatUser.connect(server.url, server.token("ann"));
  await ann.ask("chat:join", { room: "lobby" });
  const sent = await ann.ask("chat:send_message", { room: "lobby", text: "hi" });
  const seq = sent.data?.["seq"];
  const edited = await ann.ask("chat:edit_message", { room: "lobby", seq, text: "hi, darn" });
  expect(edited).toMatchObject({ ok: true });
  const { messages } = await api.messages("lobby");
  expect(messages.at(-1)?.text).toBe("hi, ****");
  expect(
    await hooks.next((hook) => hook.event === "message.send" && hook.message.seq !== undefined),
  ).toMatchObject({ user: "ann", message: { seq, text: "hi, darn" } });
});

test("a join is allowed or refused", async () => {
  const guest = await ChatUser.connect(server.url, server.token("guest"));
  const refused = await guest.ask("chat:join", { room: "lobby" });
  expect(refused).toMatchObject({ ok: false, error: { code: "refused" } });
  const hook = await hooks.next((one) => one.event === "room.join" && one.user === "guest");
  expect(hook).toMatchObject({ room: "lobby" });
});

test("a connection is allowed or refused by its claims", async () => {
  const refused = ChatUser.connect(server.url, server.token("mallory", { name: "Mallory" }));
  await expect(refused).rejects.toThrow(/not you/);
  const hook = await hooks.next((one) => one.event === "connect" && one.user === "mallory");
  expect(hook).toMatchObject({ claims: { sub: "mallory", name: "Mallory" } });
});

test("a replacement needs a new part", () => {
  expect(() => replace({})).toThrow(TypeError);
  expect(replace({ text: "" })).toEqual({ action: "replace", message: { text: "" } });
});

test("a signed request that is no hook is refused", () => {
  const signed = (body: string) => {
    const timestamp = String(Math.floor(Date.now() / 1_000));
    const key = Buffer.from(SECRET.slice("whsec_".length), "base64");
    const signature = createHmac("sha256", key).update(`hook_1.${timestamp}.${body}`).digest("base64");
    const headers = { "webhook-id": "hook_1", "webhook-timestamp": timestamp };
    return { ...headers, "webhook-signature": `v1,${signature}` };
  };
  for (const body of ["", "null", "[]", "{}", '{"type":"message.created","timestamp":"t","data":{}}'])
    expect(() => verifyHook(SECRET, signed(body), body)).toThrow(WebhookError);
  const body = '{"event":"room.join","user":"ann","room":"lobby"}';
  expect(verifyHook(SECRET, new Headers(signed(body)), body)).toMatchObject({ event: "room.join" });
  expect(() => verifyHook(SECRET, signed(body), `${body} `)).toThrow(/signature/);
});
