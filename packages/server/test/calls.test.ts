// The client against docs/openapi.json: each call has a method, which asks for the right path.

import { readFileSync } from "node:fs";
import { join } from "node:path";

import { expect, test } from "vitest";

import { RoomfulApi } from "../src/index.ts";
import type { operations } from "../src/openapi.ts";

interface Parameter {
  readonly name: string;
  readonly in: string;
  readonly required?: boolean;
}
interface Operation {
  readonly operationId: keyof operations;
  readonly parameters?: readonly Parameter[];
}
type Description = { readonly paths: Readonly<Record<string, Readonly<Record<string, Operation>>>> };

const NAMES: Record<string, string> = { room: "r 1", user: "u/2", blocked: "b?3", id: "4" };
const [ROOM, USER, BLOCKED] = ["r 1", "u/2", "b?3"];

/** Each call of the API, made with the names above. */
const CALLS: Record<keyof operations, (api: RoomfulApi) => Promise<unknown> | AsyncGenerator<unknown>> = {
  listRooms: (api) => api.rooms({ limit: 9 }),
  showRoom: (api) => api.room(ROOM),
  putRoom: (api) => api.putRoom(ROOM, { kind: "private" }),
  deleteRoom: (api) => api.deleteRoom(ROOM),
  listMembers: (api) => api.members(ROOM, { limit: 9 }),
  putMember: (api) => api.putMember(ROOM, USER, { role: "owner" }),
  removeMember: (api) => api.removeMember(ROOM, USER),
  postMessage: (api) => api.post(ROOM, { userId: USER, text: "hello" }),
  readMessages: (api) => api.messages(ROOM, { after: 1, before: 9, limit: 9 }),
  postNotification: (api) => api.notify({ userIds: [USER], kind: "k", title: "t", body: "b" }),
  showUser: (api) => api.user(USER),
  changeUser: (api) => api.changeUser(USER, { name: "Uma" }),
  showPresence: (api) => api.presence([USER]),
  disconnectUser: (api) => api.disconnect(USER),
  revokeUser: (api) => api.revoke(USER),
  listUserRooms: (api) => api.userRooms(USER, { limit: 9 }),
  exportUser: (api) => api.exportUser(USER),
  eraseUser: (api) => api.eraseUser(USER, "anonymise"),
  putBan: (api) => api.putBan(USER, { reason: "spam" }),
  removeBan: (api) => api.removeBan(USER),
  listBans: (api) => api.bans({ limit: 9 }),
  putMute: (api) => api.putMute(USER, { until: 1 }),
  removeMute: (api) => api.removeMute(USER),
  listMutes: (api) => api.mutes({ limit: 9 }),
  putRoomBan: (api) => api.putRoomBan(ROOM, USER),
  removeRoomBan: (api) => api.removeRoomBan(ROOM, USER),
  listRoomBans: (api) => api.roomBans(ROOM, { limit: 9 }),
  putRoomMute: (api) => api.putRoomMute(ROOM, USER),
  removeRoomMute: (api) => api.removeRoomMute(ROOM, USER),
  listRoomMutes: (api) => api.roomMutes(ROOM, { limit: 9 }),
  listUserSanctions: (api) => api.userSanctions(USER),
  putBlock: (api) => api.putBlock(USER, BLOCKED),
  removeBlock: (api) => api.removeBlock(USER, BLOCKED),
  listBlocks: (api) => api.blocks(USER, { limit: 9 }),
  listReports: (api) => api.reports({ state: "open", limit: 9 }),
  resolveReport: (api) => api.resolveReport(4, { action: "dismiss" }),
  listAudit: (api) => api.audit({ after: 1, actor: "key:a", action: "PUT /rooms/{room}", limit: 9 }),
  listHooks: (api) => api.hooks({ node: "n" }),
  listConnections: (api) => api.connections({ user: USER, room: ROOM, limit: 9 }),
  explainMessage: (api) => api.explain({ user: USER, room: ROOM, seq: 1 }),
  listRecords: (api) => api.webhookRecords({ state: "dead", limit: 9 }),
  replayRecord: (api) => api.replayRecord("4"),
  replayDeadRecords: (api) => api.replayDeadRecords(),
  showKey: (api) => api.key(),
  showStats: (api) => api.stats(),
  showStatsHistory: (api) => api.statsHistory({ all: true }),
  listSettings: (api) => api.settings(),
};
/** Methods that call others, page by page. */
const COMPOSED = ["allAudit", "allMessages"];

const description = JSON.parse(
  readFileSync(join(import.meta.dirname, "../../../docs/openapi.json"), "utf8"),
) as Description;
const described = Object.entries(description.paths).flatMap(([path, methods]) =>
  Object.entries(methods).map(([method, { operationId, parameters = [] }]) => ({
    operationId,
    request: `${method.toUpperCase()} ${path}`,
    query: parameters.filter((one) => one.in === "query"),
  })),
);

/** Makes a call and returns its request, and the name of the client's method. */
async function ask(operationId: keyof operations) {
  const requests: [string, URL][] = [];
  const refuse = async (url: unknown, { method = "GET" }: RequestInit = {}) => {
    requests.push([method, new URL(String(url))]);
    return new Response("", { status: 400 });
  };
  const api = new RoomfulApi("http://roomful.test", { key: "key", fetch: refuse });
  const names: string[] = [];
  const watched = new Proxy(api, {
    get(target, name) {
      names.push(String(name));
      return (Reflect.get(target, name) as Function).bind(target);
    },
  });
  const answer = CALLS[operationId](watched);
  await expect("next" in answer ? answer.next() : answer).rejects.toMatchObject({ status: 400 });
  expect([requests.length, names.length]).toEqual([1, 1]);
  const [[method, url] = ["", new URL("http://nothing")]] = requests;
  return { method, url, name: names[0] };
}

test("the client has a method for each call, and no other", async () => {
  expect(Object.keys(CALLS).toSorted()).toEqual(described.map((one) => one.operationId).toSorted());
  const methods = Object.getOwnPropertyNames(RoomfulApi.prototype).filter((name) => name !== "constructor");
  const used = await Promise.all(described.map(async (one) => (await ask(one.operationId)).name));
  expect(methods.toSorted()).toEqual([...used, ...COMPOSED].toSorted());
});

test.each(described)("$operationId asks for $request", async ({ operationId, request, query }) => {
  const asked = await ask(operationId);
  const filled = request.replace(/\{(\w+)\}/g, (_, name: string) => encodeURIComponent(NAMES[name] ?? ""));
  expect(`${asked.method} ${asked.url.pathname}`).toBe(filled);
  const names = [...asked.url.searchParams.keys()];
  expect(query.map(({ name }) => name)).toEqual(expect.arrayContaining(names));
  const required = query.filter((one) => one.required).map(({ name }) => name);
  expect(names).toEqual(expect.arrayContaining(required));
});
