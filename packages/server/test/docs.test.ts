// The code of the guides and of README, run against the real server as scripts/doc-code.mjs writes it to
// test/docs.

import { readdirSync } from "node:fs";
import { join } from "node:path";

import { afterAll, beforeAll, expect, test } from "vitest";

import { startRoomful, type TestRoomful } from "../../testing/src/index.ts";
import { RoomfulApi } from "../src/index.ts";
import { ChatUser } from "./chat_user.ts";
import { SECRET, startEndpoint, type AppRequest } from "./endpoint.ts";

type ExpressHandler = (request: AppRequest, response: { json(answer: object): void }) => void;

/** What the code of the guides has registered with `app.post`. */
const routes = new Map<string, ExpressHandler>();
const saved: { type: string }[] = [];
let endpoint: Awaited<ReturnType<typeof startEndpoint>>;
let server: TestRoomful;
let api: RoomfulApi;
beforeAll(async () => {
  endpoint = await startEndpoint((request) => {
    let answer: object | undefined;
    routes.get(request.path)?.(request, { json: (given) => void (answer = given) });
    return answer;
  });
  const hook = (event: string, path: string, rooms: string) => {
    const address = `url = "${endpoint.url}hooks/${path}", secret = "${SECRET}"`;
    return `{ name = "${path}", event = "${event}", rooms = ["${rooms}"], ${address} }`;
  };
  const hooks = [
    hook("message.send", "message", "public-*"),
    hook("message.send", "text", "readme-*"),
    hook("room.join", "join", "public-*"),
  ];
  server = await startRoomful({ env: { ROOMFUL__HOOKS: `[${hooks.join(", ")}]` } });
  api = new RoomfulApi(server.url, { key: server.apiKey });
  process.env["ROOMFUL_URL"] = server.url;
  process.env["ROOMFUL_API_KEY"] = server.apiKey;
  process.env["ROOMFUL_AUTH_SECRET"] = server.secret;
  process.env["HOOK_SECRET"] = SECRET;
  // What the reader's own code has.
  Object.assign(globalThis, {
    api,
    app: { post: (path: string, _: unknown, handler: ExpressHandler) => routes.set(path, handler) },
    express: { raw: () => undefined },
    archive: () => undefined,
    save: async (row: { type: string }) => void saved.push(row),
  });
});
afterAll(async () => {
  await server?.stop();
  endpoint?.stop();
});

const ran = new Set<string>();
async function run(name: string): Promise<void> {
  ran.add(`${name}.ts`);
  await import(`./docs/${name}.ts`);
}

async function post(room: string, text: string): Promise<string | undefined> {
  const { seq } = await api.post(room, { userId: "bot", text });
  return (await api.messages(room, { after: seq - 1 })).messages[0]?.text;
}

test("rooms, members and messages", async () => {
  await run("guide_rooms");
  expect(await api.room("team-42")).toMatchObject({ kind: "private", members: 1 });
  await run("guide_messages");
  expect((await api.messages("team-42")).messages.map(({ text }) => text)).toEqual(["Build 7 is green."]);
});

test("profiles", async () => {
  await run("guide_profiles");
  const profile = await api.changeUser("alice", {});
  expect(profile).toMatchObject({ name: "Alice", metadata: { team: "red" } });
});

test("moderation", async () => {
  await api.putRoom("team-42");
  await api.putRoom("lobby", { kind: "public" });
  const { seq } = await api.post("lobby", { userId: "mallory", text: "buy this" });
  const rita = await ChatUser.connect(server.url, server.token("rita"));
  await rita.ask("chat:join", { room: "lobby" });
  await rita.ask("chat:report", { room: "lobby", seq, reason: "spam" });
  await run("guide_moderation");
  expect((await api.messages("lobby")).messages).toMatchObject([{ seq, deleted: true }]);
  expect(await api.userSanctions("mallory")).toMatchObject([
    { kind: "mute" },
    { kind: "ban", room: "team-42" },
  ]);
  await expect(api.putMember("team-42", "mallory")).rejects.toMatchObject({ code: "banned" });
});

test.each(["guide_personal_data", "readme_moderation"])("%s exports and erases", async (name) => {
  await api.putRoom("team");
  await api.changeUser("alice", { name: "Alice" });
  saved.length = 0;
  await run(name);
  expect(saved.map(({ type }) => type)).toContain("user");
  for await (const row of api.exportUser("alice")) expect(row).toBe("nothing");
});

test("hooks", async () => {
  await api.putRoom("public-1", { kind: "public" });
  await api.putRoom("readme-1", { kind: "public" });
  for (const name of ["hooks", "guide_hooks", "readme_hooks"]) await run(name);
  expect(await post("public-1", "oh, darn")).toBe("oh, ****");
  await expect(post("public-1", "come to our casino")).rejects.toMatchObject({ code: "refused" });
  expect(await post("readme-1", "hello")).toBe("hello");
  await expect(post("readme-1", "come to our casino")).rejects.toMatchObject({ code: "refused" });
  const guest = await ChatUser.connect(server.url, server.token("guest-1"));
  expect(await guest.ask("chat:join", { room: "public-1" })).toMatchObject({ error: { code: "refused" } });
  const bob = await ChatUser.connect(server.url, server.token("bob"));
  expect(await bob.ask("chat:join", { room: "public-1" })).toMatchObject({ ok: true });
});

test("all of it has run", () => {
  expect([...ran].toSorted()).toEqual(readdirSync(join(import.meta.dirname, "docs")).toSorted());
});
