// Blocked users, on a real server and on two devices.

import { afterAll, afterEach, beforeAll, expect, test } from "vitest";

import { startRoomful, type TestRoomful } from "../../testing/src/index.ts";
import type { Request } from "../src/contract.ts";
import { Blocks } from "../src/blocks.ts";
import { clientFor, closeClients, enter, until } from "./server.ts";

let server: TestRoomful;
beforeAll(async () => {
  server = await startRoomful();
});
afterEach(closeClients);
afterAll(() => server?.stop());

test("a block is known on all devices, and in a room of two it refuses messages", async () => {
  await server.api("PUT", "rooms/pair", { kind: "private", members: ["ann", "bob"] });
  const [ann, tablet, bob] = [clientFor(server, "ann"), clientFor(server, "ann"), clientFor(server, "bob")];
  const room = await enter(bob, "pair");
  ann.connect();
  tablet.connect();
  await until(tablet.connection, ({ state }) => state === "online");
  await until(ann.connection, ({ state }) => state === "online");
  await ann.block("bob");
  expect([...ann.blocks.getSnapshot()]).toEqual(["bob"]);
  await until(tablet.blocks, (users) => users.has("bob"));
  const failed = room.send({ text: "hello" }).sent;
  await expect(failed).rejects.toMatchObject({ failure: { code: "forbidden" } });
  const phone = clientFor(server, "ann");
  phone.connect();
  await until(phone.blocks, (users) => users.has("bob"));
  await phone.unblock("bob");
  await until(ann.blocks, (users) => users.size === 0);
  expect((await room.send({ text: "hello again" }).sent).seq).toBe(1);
});

test("a message is reported once", async () => {
  const [cy, dan] = [clientFor(server, "cy"), clientFor(server, "dan")];
  const room = await enter(cy, "lobby");
  await enter(dan, "lobby");
  const { seq } = await dan.room("lobby").send({ text: "buy this" }).sent;
  const id = await room.report(seq, { reason: "spam", text: "again" });
  expect(await room.report(seq, { reason: "hate" })).toBe(id);
});

test("a list that was read before a change does not undo it", async () => {
  const lists: ((list: { users: string[] }) => void)[] = [];
  const request = () => new Promise((answer) => lists.push(answer));
  const blocks = new Blocks(request as Request);
  const loading = blocks.load();
  blocks.changed("bob", true);
  lists[0]!({ users: [] });
  await Promise.resolve();
  await Promise.resolve();
  expect([...blocks.getSnapshot()]).toEqual(["bob"]);
  lists[1]!({ users: ["bob", "cy"] });
  await loading;
  expect([...blocks.getSnapshot()]).toEqual(["bob", "cy"]);
});
