// The package against the real server: tokens, rooms, messages, retries, webhooks.

import { afterAll, beforeAll, describe, expect, test } from "vitest";

import { startRoomful, type TestRoomful } from "../../testing/src/index.ts";
import {
  mintToken,
  RoomfulApi,
  RoomfulApiError,
  verifyHook,
  verifyWebhook,
  WebhookError,
  type Webhook,
} from "../src/index.ts";
import { ChatUser } from "./chat_user.ts";
import { Inbox, SECRET, startEndpoint } from "./endpoint.ts";

const webhooks = new Inbox<Webhook>();
let endpoint: Awaited<ReturnType<typeof startEndpoint>>;
let server: TestRoomful;
let api: RoomfulApi;
beforeAll(async () => {
  endpoint = await startEndpoint(({ headers, body }) =>
    webhooks.put(verifyWebhook(["whsec_AAAA", SECRET], headers, body)),
  );
  const env = {
    // A TOML list.
    ROOMFUL__WEBHOOKS: `[{ url = "${endpoint.url}", secret = "${SECRET}", events = ["message.created"] }]`,
  };
  server = await startRoomful({ env });
  api = new RoomfulApi(`${server.url}/`, { key: server.apiKey });
});
afterAll(async () => {
  await server?.stop();
  endpoint?.stop();
});

describe("the API", () => {
  test("creates, lists and deletes rooms, over pages", async () => {
    for (let i = 0; i < 5; i++) await api.putRoom(`page-${i}`, { kind: "public" });
    const names: string[] = [];
    for await (const { room } of api.rooms({ limit: 2 })) if (room.startsWith("page-")) names.push(room);
    expect(names).toEqual(["page-0", "page-1", "page-2", "page-3", "page-4"]);
    await api.deleteRoom("page-0");
    await expect(api.room("page-0")).rejects.toMatchObject({ code: "not_found", status: 404 });
  });

  test("adds and removes members with odd names", async () => {
    const room = "?a/b #%";
    expect((await api.putRoom(room, { kind: "private" })).members).toBe(0);
    for (const user of ["alice", "ü,ö"]) await api.putMember(room, user, { role: "moderator" });
    const members = [];
    for await (const { userId, role } of api.members(room, { limit: 1 })) members.push([userId, role]);
    expect(members).toEqual([
      ["alice", "moderator"],
      ["ü,ö", "moderator"],
    ]);
    await api.removeMember(room, "alice");
    expect((await api.room(room)).members).toBe(1);
  });

  test("names that HTTP clients rewrite arrive as they are", async () => {
    for (const room of [".", "..", "~Li4"]) {
      expect((await api.putRoom(room)).room).toBe(room);
      expect((await api.deleteRoom(room)).room).toBe(room);
    }
  });

  test("posts messages once, and reads them back", async () => {
    await api.putRoom("posts");
    const message = { userId: "bot", text: "hello", clientId: "hello-1" };
    const first = await api.post("posts", message);
    const again = await api.post("posts", message);
    expect([first.seq, first.duplicate, again.seq, again.duplicate]).toEqual([1, false, 1, true]);
    await expect(api.post("posts", { ...message, text: "other" })).rejects.toMatchObject({
      code: "conflict",
    });
    const { messages } = await api.messages("posts", { limit: 10 });
    expect(messages.map(({ text }) => text)).toEqual(["hello"]);
  });

  test("posts notifications, shows presence, disconnects and revokes", async () => {
    const { duplicate } = await api.notify({ userIds: ["alice"], kind: "k", title: "t", body: "b" });
    expect(duplicate).toBe(false);
    const presence = await api.presence(["alice", "ü,ö"]);
    expect(presence.map(({ userId, status }) => [userId, status])).toEqual([
      ["alice", "offline"],
      ["ü,ö", "offline"],
    ]);
    await expect(api.user("nobody")).rejects.toMatchObject({ code: "not_found" });
    expect((await api.disconnect("alice")).closed).toBe(0);
    expect((await api.revoke("alice")).revokedBefore).toBeGreaterThan(0);
    expect((await api.stats()).connections).toBe(0);
  });

  test("reports a wrong key with the server's code", async () => {
    const stranger = new RoomfulApi(server.url, { key: "a-wrong-key-0123456789" });
    await expect(stranger.stats()).rejects.toMatchObject({ code: "unauthorized", status: 401 });
  });

  test("repeats calls while the server restarts", async () => {
    await server.kill();
    const posting = new RoomfulApi(server.url, { key: server.apiKey, attempts: 20 }).post("posts", {
      userId: "bot",
      text: "after the restart",
    });
    await server.start();
    expect((await posting).seq).toBe(2);
  });

  test("honours Retry-After, and gives up after its attempts", async () => {
    let calls = 0;
    const busy = async () => {
      calls += 1;
      const body = JSON.stringify({ error: { code: "unavailable", message: "busy" } });
      return new Response(body, { status: 503, headers: { "retry-after": "0" } });
    };
    const limited = new RoomfulApi("http://127.0.0.1:1", { key: "k", attempts: 3, fetch: busy });
    await expect(limited.stats()).rejects.toBeInstanceOf(RoomfulApiError);
    expect(calls).toBe(3);
  });

  test("does not wait longer than a minute for Retry-After", async () => {
    const date = new Date(Date.now() + 3_600_000).toUTCString();
    const closed = async () =>
      new Response("Maintenance", { status: 503, headers: { "retry-after": date } });
    const error = await new RoomfulApi("http://127.0.0.1:1", { key: "k", fetch: closed })
      .stats()
      .catch((e) => e);
    expect(error).toMatchObject({ code: "unexpected_answer", status: 503 });
    expect(error.retryAfter).toBeGreaterThan(3_500_000);
  });

  test("reads all messages over pages", async () => {
    await api.putRoom("long");
    const posts = Array.from({ length: 450 }, (_, i) => api.post("long", { userId: "bot", text: `${i}` }));
    await Promise.all(posts);
    const seqs: number[] = [];
    for await (const { seq } of api.allMessages("long", { after: 3 })) seqs.push(seq);
    expect(seqs).toEqual(Array.from({ length: 447 }, (_, i) => i + 4));
  });
});

test("an address without a scheme or a missing key is refused at once", () => {
  expect(() => new RoomfulApi("chat.example.com", { key: "k" })).toThrow(/http:\/\//);
  expect(() => new RoomfulApi(server.url, { key: "" })).toThrow(/ROOMFUL_API_KEY/);
});

describe("tokens", () => {
  test("are accepted by the server", async () => {
    const token = mintToken(server.secret, { user: "carol", name: "Carol", rooms: ["team-*"] }, 60);
    const carol = await ChatUser.connect(server.url, token);
    expect(await carol.ask("user:get", { users: ["carol"] })).toMatchObject({
      ok: true,
      data: { users: [{ userId: "carol", name: "Carol" }] },
    });
  });

  test("need a user", () => {
    const minted = (secret: unknown, user: unknown) => () =>
      mintToken(secret as string, { user: user as string });
    expect(minted(undefined, "a")).toThrow(/ROOMFUL_AUTH_SECRET/);
    expect(minted(server.secret, "")).toThrow(/empty/);
    expect(minted(server.secret, undefined)).toThrow(/must be a string/);
  });

  test("need a long secret and a positive lifetime", () => {
    expect(() => mintToken("short", { user: "a" })).toThrow(RangeError);
    expect(() => mintToken(server.secret, { user: "a" }, 0)).toThrow(RangeError);
  });
});

describe("webhooks", () => {
  test("of the real server are verified", async () => {
    await api.putRoom("hooked");
    await api.post("hooked", { userId: "bot", text: "ünïcode" });
    const { data } = await webhooks.next(({ data }) => (data as { room: string }).room === "hooked");
    expect(data).toMatchObject({ userId: "bot", text: "ünïcode" });
  });

  test("with another body, timestamp or secret are refused", () => {
    const headers = (timestamp: number) => ({
      "webhook-id": "evt_1",
      "webhook-timestamp": String(timestamp),
      "webhook-signature": "v1,AAAA v1a,BBBB",
    });
    const now = Math.floor(Date.now() / 1_000);
    for (const timestamp of [now, now - 301, now + 301, Number.NaN])
      for (const verify of [verifyWebhook, verifyHook])
        expect(() => verify(SECRET, headers(timestamp), "{}")).toThrow(WebhookError);
    expect(() => verifyWebhook(SECRET, {}, "{}")).toThrow(/webhook-id/);
  });
});
