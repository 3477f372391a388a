// The client in Chromium, with its real IndexedDB, Web Locks and quotas, against the real server.

import { afterAll, afterEach, beforeAll, beforeEach, describe, expect, test } from "vitest";

import { startRoomful, type TestRoomful } from "../../testing/src/index.ts";
import { TestBrowser, type Tab } from "./chromium.ts";

const LAWFUL = { ascending: 0, dense: 0, once: 0 };

let browser: TestBrowser;
let server: TestRoomful;
beforeAll(async () => {
  browser = await TestBrowser.start();
});
afterAll(() => browser?.stop());
beforeEach(async () => {
  server = await startRoomful();
});
afterEach(() => server?.stop());

const numbered = (count: number, word = "text"): string[] =>
  Array.from({ length: count }, (_, n) => `${word} ${n}`);

/** The texts that the server has stored. */
async function stored(room: string): Promise<string[]> {
  type Page = { messages: { text: string }[] };
  const { messages } = await server.api<Page>("GET", `rooms/${room}/messages?limit=200`);
  return messages.map(({ text }) => text);
}

/** Checks what a tab shows and what the server has: these texts, once each and in this order. */
async function holds(tab: Tab, texts: readonly string[]): Promise<void> {
  expect(await tab.sent(texts.length)).toEqual(texts);
  expect(await stored("lobby")).toEqual(texts);
  expect(await tab.laws()).toEqual(LAWFUL);
}

describe("a tab that crashes", () => {
  test("during sends: the next one sends the rest, each message once and in order", async () => {
    const device = await browser.device();
    const tab = await browser.tab(device, server, "ada", "lobby");
    await tab.joined();
    const texts = numbered(60);
    await tab.write(texts);
    await tab.sent(5);
    await tab.stored();
    await tab.crash();
    await holds(await browser.tab(device, server, "ada", "lobby"), texts);
    await device.close();
  });

  test("during sends and a crash of the server", async () => {
    const device = await browser.device();
    const tab = await browser.tab(device, server, "ada", "lobby");
    await tab.joined();
    const texts = numbered(60);
    await tab.write(texts);
    await tab.sent(5);
    await server.kill();
    await tab.stored();
    await tab.crash();
    await server.start();
    await holds(await browser.tab(device, server, "ada", "lobby"), texts);
    await device.close();
  });

  test("offline: the next one shows the cached messages at once, and sends the unsent ones", async () => {
    const device = await browser.device();
    const tab = await browser.tab(device, server, "ada", "lobby");
    await tab.joined();
    await tab.write(["before"]);
    await tab.sent(1);
    await tab.caches("before");
    server.faults.offline();
    await tab.offline();
    await tab.write(numbered(5, "offline"));
    await tab.stored();
    await tab.crash();

    const next = await browser.tab(device, server, "ada", "lobby");
    await next.cached(6);
    await server.faults.heal();
    await holds(next, ["before", ...numbered(5, "offline")]);
    await device.close();
  });
});

test("of two tabs, one sends for both; when it crashes, the other one does", async () => {
  const device = await browser.device();
  const [first, second] = [
    await browser.tab(device, server, "ada", "lobby"),
    await browser.tab(device, server, "ada", "lobby"),
  ];
  await first.joined();
  await second.joined();
  await first.write(["by the first"]);
  await second.write(["by the second"]);
  for (const tab of [first, second]) expect((await tab.sent(2)).length).toBe(2);

  server.faults.offline();
  await first.offline();
  await second.offline();
  await first.write(numbered(5, "left behind"));
  await first.stored();
  await first.crash();
  await second.write(numbered(5, "later"));
  await server.faults.heal();
  const texts = await second.sent(12);
  expect(texts.slice(2)).toEqual([...numbered(5, "left behind"), ...numbered(5, "later")]);
  expect(await stored("lobby")).toEqual(texts);
  await device.close();
});

test("over the quota of the storage, messages are sent and shown all the same", async () => {
  const device = await browser.device();
  await browser.limit(device, 1);
  const tab = await browser.tab(device, server, "ada", "lobby");
  await tab.joined();
  expect(await tab.refusal()).toMatch(/quota/i);
  await tab.write(numbered(20));
  await holds(tab, numbered(20));
  await device.close();
});

describe("where IndexedDB", () => {
  const ways: [string, () => void][] = [
    ["does not exist", () => void Object.defineProperty(window, "indexedDB", { value: undefined })],
    [
      "refuses, as in some private modes",
      () => {
        IDBFactory.prototype.open = () => {
          throw new DOMException("The operation is insecure.", "SecurityError");
        };
      },
    ],
  ];
  for (const [what, prepare] of ways)
    test(`${what}, the client works from memory`, async () => {
      const device = await browser.device(prepare);
      const tab = await browser.tab(device, server, "ada", "lobby");
      await tab.joined();
      await tab.write(numbered(5));
      await holds(tab, numbered(5));
      await device.close();
    });
});
