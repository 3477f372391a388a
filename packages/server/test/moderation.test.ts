// Profiles, moderation, exports, erasures and the operators' calls against the real server.

import { afterAll, beforeAll, describe, expect, test } from "vitest";

import { startRoomful, type TestRoomful } from "../../testing/src/index.ts";
import { RoomfulApi } from "../src/index.ts";
import { ChatUser } from "./chat_user.ts";
import { SECRET, startEndpoint } from "./endpoint.ts";

let endpoint: Awaited<ReturnType<typeof startEndpoint>>;
let server: TestRoomful;
let api: RoomfulApi;
beforeAll(async () => {
  endpoint = await startEndpoint(() => {});
  const address = `name = "app", url = "${endpoint.url}", secret = "${SECRET}"`;
  const webhooks = `[{ ${address}, events = ["message.created"] }]`;
  server = await startRoomful({ env: { ROOMFUL__WEBHOOKS: webhooks } });
  api = new RoomfulApi(server.url, { key: server.apiKey });
});
afterAll(async () => {
  await server?.stop();
  endpoint?.stop();
});

async function all<T>(items: AsyncIterable<T>): Promise<T[]> {
  const list: T[] = [];
  for await (const item of items) list.push(item);
  return list;
}

const users = async (items: AsyncIterable<{ userId: string }>) => (await all(items)).map((one) => one.userId);
const post = (room: string, userId: string, text = "hello") => api.post(room, { userId, text });

test("a profile keeps the fields that a change leaves out", async () => {
  await api.changeUser("ann", { name: "Ann", metadata: { team: "red" } });
  const profile = await api.changeUser("ann", { avatar: "https://img.example/ann.png", metadata: null });
  expect(profile).toMatchObject({ userId: "ann", name: "Ann", avatar: "https://img.example/ann.png" });
  expect(profile.metadata ?? null).toBeNull();
  await ChatUser.connect(server.url, server.token("ann"));
  expect(await api.user("ann")).toMatchObject(profile);
});

describe("moderation", () => {
  test("in a room: bans and mutes, over pages", async () => {
    await api.putRoom("court", { slowMode: 0, frozen: false });
    const until = Date.now() + 3_600_000;
    for (const user of ["m1", "m2", "m3"]) await api.putRoomMute("court", user, { until, reason: "noise" });
    await expect(post("court", "m1")).rejects.toMatchObject({ code: "muted", status: 403 });
    expect(await users(api.roomMutes("court", { limit: 2 }))).toEqual(["m1", "m2", "m3"]);
    expect(await api.removeRoomMute("court", "m1")).toMatchObject({ kind: "mute", until, reason: "noise" });
    await post("court", "m1");
    expect(await api.putRoomBan("court", "m1")).toMatchObject({ room: "court", kind: "ban" });
    await expect(api.putMember("court", "m1")).rejects.toMatchObject({ code: "banned" });
    expect(await users(api.roomBans("court"))).toEqual(["m1"]);
    await api.removeRoomBan("court", "m1");
    await expect(api.removeRoomBan("court", "m1")).rejects.toMatchObject({ code: "not_found" });
  });

  test("in all rooms: bans and mutes", async () => {
    await api.putBan("mallory", { reason: "spam" });
    await api.putMute("mallory");
    expect(await users(api.bans())).toEqual(["mallory"]);
    expect(await users(api.mutes())).toEqual(["mallory"]);
    const kinds = (await api.userSanctions("mallory")).map(({ kind }) => kind);
    expect(kinds.toSorted()).toEqual(["ban", "mute"]);
    const refused = ChatUser.connect(server.url, server.token("mallory"));
    await expect(refused).rejects.toThrow(/banned/);
    await api.removeBan("mallory");
    await api.removeMute("mallory");
    expect(await api.userSanctions("mallory")).toEqual([]);
  });

  test("blocks of a user", async () => {
    for (const blocked of ["b1", "b2", "b3"]) await api.putBlock("ann", blocked);
    await api.removeBlock("ann", "b2");
    expect(await users(api.blocks("ann", { limit: 1 }))).toEqual(["b1", "b3"]);
  });

  test("reports, listed and resolved", async () => {
    await api.putRoom("reported", { kind: "public" });
    const { seq } = await post("reported", "rude", "something rude");
    const ann = await ChatUser.connect(server.url, server.token("ann"));
    await ann.ask("chat:join", { room: "reported" });
    const { data } = await ann.ask("chat:report", { room: "reported", seq, reason: "abuse", text: "look" });
    const [report] = await all(api.reports({ state: "open" }));
    expect(report).toMatchObject({ id: data?.["id"], userId: "rude", reporter: "ann", text: "look" });
    const id = report?.id ?? 0;
    expect(await api.resolveReport(id, { action: "delete" })).toMatchObject({ id, state: "deleted" });
    await expect(api.resolveReport(id, { action: "ban" })).rejects.toMatchObject({ code: "not_found" });
    expect(await all(api.reports({ state: "open" }))).toEqual([]);
    expect((await api.messages("reported")).messages).toMatchObject([{ seq, deleted: true }]);
  });
});

describe("personal data", () => {
  test("is exported row by row, whatever the texts contain", async () => {
    await api.putRoom("diary", { kind: "private", members: ["eve"] });
    // Line separators that JSON leaves as they are.
    const text = "one\u2028two\u0085three\nfour";
    for (let n = 0; n < 250; n++) await post("diary", "eve", text);
    const rows = await all(api.exportUser("eve"));
    const messages = rows.filter(({ type }) => type === "message");
    expect(messages.length).toBe(250);
    expect(messages[0]).toMatchObject({ room: "diary", seq: 1, body: { text } });
    for await (const row of api.exportUser("eve")) {
      expect(row.type).toBeTypeOf("string");
      break;
    }
    expect(await all(api.exportUser("nobody"))).toEqual([]);
  });

  test("is gone after an erasure", async () => {
    await api.putRoom("left");
    await api.putMember("left", "gone");
    await post("left", "gone", "a text that stays");
    const erased = await api.eraseUser("gone", "anonymise");
    expect(erased.userId).toBe("gone");
    const [message] = (await api.messages("left")).messages;
    expect(message).toMatchObject({ text: "a text that stays" });
    expect(message?.userId).toMatch(/^erased-/);
    expect(await all(api.exportUser("gone"))).toEqual([]);
  });
});

describe("operators", () => {
  test("read the audit log over pages", async () => {
    for (let n = 0; n < 3; n++) await api.putRoom(`audited-${n}`);
    const { records } = await api.audit({ limit: 1, action: "PUT /rooms/{room}" });
    expect(records.map(({ room }) => room)).toEqual(["audited-2"]);
    const rooms = [];
    for await (const { room } of api.allAudit({ action: "PUT /rooms/{room}", limit: 2 }))
      if (room?.startsWith("audited")) rooms.push(room);
    expect(rooms).toEqual(["audited-0", "audited-1", "audited-2"]);
  });

  test("see connections, and why a message has arrived or not", async () => {
    await api.putRoom("explained");
    const eric = await ChatUser.connect(server.url, server.token("eric"));
    await eric.ask("chat:join", { room: "explained" });
    const { seq } = await post("explained", "bot");
    const [connection] = await all(api.connections({ user: "eric", limit: 1 }));
    expect(connection).toMatchObject({ userId: "eric", transport: "polling" });
    const explanation = await api.explain({ user: "eric", room: "explained", seq });
    expect(explanation).toMatchObject({ message: { author: "bot" }, banned: false });
    expect(explanation.devices.length).toBe(1);
  });

  test("see and repeat records of webhooks", async () => {
    await api.putRoom("webhooked");
    await post("webhooked", "bot");
    const records = await api.webhookRecords({ limit: 200 });
    const record = records.find(({ room }) => room === "webhooked");
    expect(record).toMatchObject({ event: "message.created", sink: "app" });
    expect(await api.replayRecord(record?.id ?? "")).toEqual({ records: 1 });
    expect(await api.replayDeadRecords()).toEqual({ records: 0 });
    await expect(api.replayRecord("evt_unknown")).rejects.toMatchObject({ status: 404 });
  });

  test("see the key and the figures", async () => {
    const { scopes } = await api.key();
    expect(scopes).toContain("admin");
    const { intervalMs, samples } = await api.statsHistory();
    expect(intervalMs).toBe(15_000);
    expect(samples).toBeInstanceOf(Array);
  });
});
