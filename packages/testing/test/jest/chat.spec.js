// Run by test/jest.test.ts.

const { startRoomful } = require("../../dist/cjs/index.js");

let roomful;
beforeAll(async () => {
  roomful = await startRoomful();
}, 30_000);
afterAll(() => roomful?.stop());

test("the API answers", async () => {
  await roomful.api("PUT", "rooms/lobby", { kind: "public" });
  expect(await roomful.api("GET", "rooms/lobby")).toMatchObject({ room: "lobby" });
});

test("the data survives a crash", async () => {
  await roomful.api("POST", "rooms/lobby/messages", { userId: "bot", text: "hello" });
  await roomful.kill();
  await roomful.start();
  const { messages } = await roomful.api("GET", "rooms/lobby/messages");
  expect(messages.map(({ text }) => text)).toEqual(["hello"]);
});
