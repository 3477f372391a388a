// The kit in Chromium against the real server, in strict mode.

import { readFileSync, writeFileSync } from "node:fs";
import { join } from "node:path";

import type { Browser } from "playwright-core";
import { afterAll, afterEach, beforeAll, describe, expect, test } from "vitest";

import { clientFor, closeClients, enter, post, until } from "../../client/test/server.ts";
import { startRoomful, type TestRoomful } from "../../testing/src/index.ts";
import { App, Window, launch } from "./browser.ts";

let server: TestRoomful;
const MOST = 50_000;
let browser: Browser;
let app: App;
const windows: Window[] = [];
beforeAll(async () => {
  // The longest list of these tests.
  server = await startRoomful({ env: { ROOMFUL__HISTORY__MAX_MESSAGES: String(MOST) } });
  browser = await launch();
  app = await App.start();
});
afterEach(async () => {
  await closeClients();
  const faults = windows.flatMap((window) => window.faults);
  await Promise.all(windows.splice(0).map((window) => window.close()));
  expect(faults).toEqual([]);
});
afterAll(async () => {
  await app?.stop();
  await browser?.close();
  await server?.stop();
});

async function open(query: Parameters<typeof Window.open>[3], options = {}, from = app): Promise<Window> {
  const window = await Window.open(browser, server, from, query, options);
  windows.push(window);
  return window;
}

let rooms = 0;
const newRoom = (): string => `room-${++rooms}`;

async function joined(user: string, name: string) {
  const client = clientFor(server, user);
  return { client, room: await enter(client, name) };
}

/** Makes a room with `count` messages of a stranger, by an import into the stopped server. */
async function imported(room: string, count: number): Promise<void> {
  const at = Date.now() - count * 1_000;
  const lines = Array.from({ length: count }, (_, n) => ({
    type: "message",
    room,
    id: `old-${n + 1}`,
    userId: "stranger",
    text: `entry ${n + 1}.`,
    at: at + n * 1_000,
  }));
  const file = join(server.folder, `${room}.ndjson`);
  const all = [{ type: "room", room, kind: "public", createdAt: at }, ...lines];
  writeFileSync(file, all.map((line) => JSON.stringify(line)).join("\n"));
  await server.shutDown();
  server.command("import", file);
  await server.start();
}

async function twoPeopleChat(from: App, version: string): Promise<void> {
  const room = newRoom();
  const ada = await open({ user: "ada", room }, {}, from);
  expect(await ada.page.evaluate(() => document.documentElement.dataset["react"])).toMatch(version);
  const bob = await joined("bob", room);
  await ada.say("hello **bob**");
  await ada.message("hello bob", { own: true, state: "sent", seq: 1 });
  await until(bob.room, ({ messages }) => messages.some(({ text }) => text === "hello **bob**"));
  bob.room.typing();
  await ada.at("typing").filter({ hasText: "bob is typing" }).waitFor();
  bob.room.send({ text: "hello ada", replyTo: 1 });
  const answer = await ada.message("hello ada", { own: false, seq: 2 });
  await answer.getByTestId("quote").filter({ hasText: "Ada" }).waitFor();
  bob.room.markRead();
  await ada.say("how are you?");
  await until(bob.room, ({ messages }) => messages.length === 3);
  bob.room.markRead();
  await ada.at("read-by").filter({ hasText: "Read by bob" }).waitFor();
  expect(await ada.at("message").count()).toBe(3);
  await until(bob.room, ({ members }) =>
    members.some(({ userId, readSeq }) => userId === "ada" && readSeq === 3),
  );
}

test("two people chat, in React 19 and strict mode", () => twoPeopleChat(app, "19"));

test("two people chat, in React 18 and strict mode", async () => {
  const older = await App.start({ react: "18" });
  try {
    await twoPeopleChat(older, "18");
  } finally {
    await older.stop();
  }
});

test("strict mode mounts twice and joins once; the last unmount ends the subscription", async () => {
  const room = newRoom();
  const ada = await open({ user: "ada", room });
  await ada.at("empty").filter({ hasText: "No messages yet" }).waitFor();
  const bob = await joined("bob", room);
  await bob.room.send({ text: "one" }).sent;
  await ada.message("one");
  const state = () => ada.page.evaluate((name) => window.client.room(name).getSnapshot().joined, room);
  expect(await state()).toBe(true);
  await ada.page.evaluate(() => window.open(undefined));
  await expect.poll(state).toBe(false);
  await bob.room.send({ text: "two" }).sent;
  const line = ada.at("room-item", { room });
  await line.getByTestId("unread-badge").filter({ hasText: "1" }).waitFor();
  await line.locator("a").click();
  await ada.message("two");
  await line.getByTestId("unread-badge").waitFor({ state: "hidden" });
  expect(await ada.at("message").count()).toBe(2);
});

test("a mark beside the unread count tells of mentions, however many messages are unread", async () => {
  const room = newRoom();
  const ada = await open({ user: "ada", room: newRoom() });
  const bob = await joined("bob", room);
  await server.api("PUT", `rooms/${room}/members/ada`, {});
  const line = ada.at("room-item", { room });
  const counts = (unread: string) => line.getByTestId("unread-badge").filter({ hasText: unread }).waitFor();
  await bob.room.send({ text: "morning" }).sent;
  await counts("1");
  expect(await line.getByTestId("mention-badge").count()).toBe(0);
  await bob.room.send({ text: "@ada are you there?", mentions: ["ada"] }).sent;
  await counts("2");
  await line.getByTestId("mention-badge").waitFor();
  expect(await line.getByTestId("unread-badge").innerText()).toBe("2");
  await line.getByRole("link", { name: /2 unread, 1 mention$/ }).waitFor();
  await ada.picture("unread-mention");
});

test("the number of offline members says when the room has more than the listed ones", async () => {
  const room = newRoom();
  await server.api("PUT", `rooms/${room}`, { kind: "public" });
  const join = (user: string) => server.api("PUT", `rooms/${room}/members/${user}`, {});
  await Promise.all(["ada", ...Array.from({ length: 199 }, (_, n) => `user-${n}`)].map(join));
  const ada = await open({ user: "ada", room });
  const heading = (text: string) => ada.at("members").getByRole("heading", { name: text, exact: true });
  await heading("Online: 1").waitFor();
  await heading("Offline: 199").waitFor();
  // The server lists 200 members in a page.
  await Promise.all(Array.from({ length: 109 }, (_, n) => join(`visitor-${n}`)));
  await heading("Offline: 199 or more").waitFor();
  expect(await ada.at("offline-user").count()).toBe(199);
  await ada.picture("many-members");
});

test("the first code of the README is a working chat", async () => {
  const readme = readFileSync(new URL("../README.md", import.meta.url), "utf8");
  const code = /```tsx\n([^]*?)\n```/.exec(readme)?.[1] ?? "";
  expect(code.split("\n").length).toBeLessThan(30);
  const example = await App.start({ readme: code.replace("https://chat.example.com", server.url) });
  try {
    const page = await browser.newPage();
    await page.route("**/chat-token", (route) => route.fulfill({ body: server.token("ada") }));
    const bob = await joined("bob", "lobby");
    await page.goto(`${example.url}readme.html`);
    await page.getByTestId("composer").fill("hello from the README");
    await page.getByTestId("composer").press("Enter");
    await until(bob.room, ({ messages }) => messages.some(({ text }) => text === "hello from the README"));
    await bob.room.send({ text: "it works" }).sent;
    await page.getByTestId("message").filter({ hasText: "it works" }).waitFor();
    await page.close();
  } finally {
    await example.stop();
  }
});

describe("scrolling", () => {
  const top = (window: Window, text: string) =>
    window
      .at("message")
      .filter({ hasText: text })
      .evaluate((element) => element.getBoundingClientRect().top);

  test("keeps its place when older messages load and when messages arrive", async () => {
    const room = newRoom();
    const bob = await joined("bob", room);
    for (let i = 1; i <= 300; i++) {
      const long = i % 7 === 0 ? " and a text that is long enough to break into several lines".repeat(4) : "";
      bob.room.send({ text: `entry ${i}.${long}` });
    }
    await until(bob.room, ({ messages }) => messages.filter(({ state }) => state === "sent").length >= 300);
    const ada = await open({ user: "ada", room });
    await ada.message("entry 300.");
    const scroller = ada.at("scroller");
    const length = () =>
      ada.page.evaluate((name) => window.client.room(name).getSnapshot().messages.length, room);

    // Live messages at the end are followed.
    await bob.room.send({ text: "entry 301." }).sent;
    await ada.message("entry 301.");
    const gap = () =>
      scroller.evaluate(
        ({ scrollHeight, scrollTop, clientHeight }) => scrollHeight - scrollTop - clientHeight,
      );
    await expect.poll(gap).toBeLessThan(2);

    // Away from the end, a new message moves nothing.
    await scroller.hover();
    await ada.page.mouse.wheel(0, -900);
    await ada.at("jump-latest").waitFor();
    const seen = await settled(ada);
    const before = await top(ada, seen);
    await bob.room.send({ text: "entry 302." }).sent;
    await ada.at("jump-latest").filter({ hasText: "1 new message" }).waitFor();
    expect(Math.abs((await top(ada, seen)) - before)).toBeLessThan(2);

    // Near the start, older messages load above and move nothing.
    const known = await length();
    await scroller.evaluate((element) => (element.scrollTop = 300));
    const anchor = await settled(ada);
    const place = await top(ada, anchor);
    await expect.poll(length).toBeGreaterThan(known);
    await settled(ada);
    expect(Math.abs((await top(ada, anchor)) - place)).toBeLessThan(2);

    // All the way up, everything loads once and in order.
    await expect
      .poll(async () => {
        await scroller.evaluate((element) => element.scrollTo(0, 0));
        return ada.at("message", { seq: 1 }).count();
      })
      .toBe(1);
    const seqs = await ada
      .at("message")
      .evaluateAll((all) => all.map((element) => Number(element.dataset["seq"])));
    expect(seqs).toEqual([...seqs].sort((a, b) => a - b));
    expect(new Set(seqs).size).toBe(seqs.length);
    await ada.at("jump-latest").click();
    await ada.message("entry 302.");
  });

  /** The text of a message in the middle of the view, once the view has stopped moving. */
  async function settled(window: Window): Promise<string> {
    const look = () =>
      window.page.evaluate(() => {
        const { left, top, width, height } = document.querySelector(".rf-scroller")!.getBoundingClientRect();
        const row = document.elementFromPoint(left + width / 2, top + height / 2)?.closest(".rf-message");
        const text = row?.querySelector(".rf-text")?.textContent?.match(/entry \d+\./)?.[0] ?? "";
        return { text, at: row?.getBoundingClientRect().top ?? 0 };
      });
    let last = await look();
    for (let same = 0; same < 3;) {
      await window.page.evaluate(
        () => new Promise((done) => requestAnimationFrame(() => setTimeout(done, 50))),
      );
      const next = await look();
      same = next.text === last.text && next.at === last.at && next.text !== "" ? same + 1 : 0;
      last = next;
    }
    return last.text;
  }

  test("a reply leads to a message that is not loaded yet", async () => {
    const room = newRoom();
    const bob = await joined("bob", room);
    for (let i = 1; i <= 150; i++) bob.room.send({ text: `entry ${i}.` });
    await until(bob.room, ({ messages }) => messages.filter(({ state }) => state === "sent").length === 150);
    await bob.room.send({ text: "about the first", replyTo: 1 }).sent;
    const ada = await open({ user: "ada", room });
    const reply = await ada.message("about the first");
    await reply.getByTestId("quote").filter({ hasText: "Earlier message" }).click();
    await (await ada.message("entry 1.", { seq: 1 })).waitFor();
    await expect
      .poll(() =>
        ada.at("message", { seq: 1 }).evaluate((row) => {
          const { top, bottom } = row.getBoundingClientRect();
          return top >= 0 && bottom <= innerHeight;
        }),
      )
      .toBe(true);
  });
});

test("of 50,000 messages, only the rows in view are rendered, also while loading and scrolling", async () => {
  const room = newRoom();
  await imported(room, MOST);
  const ada = await open({ user: "ada", room });
  await ada.message(`entry ${MOST}.`);
  const work = await ada.page.evaluate(async (name) => {
    const room = window.client.room(name);
    let [snapshots, rows] = [0, 0];
    room.subscribe(() => (snapshots += 1));
    const added = new MutationObserver((records) => {
      for (const { addedNodes } of records) rows += addedNodes.length;
    });
    added.observe(document.querySelector(".rf-rows")!, { childList: true });
    await room.jumpTo(1);
    await new Promise((done) => requestAnimationFrame(() => setTimeout(done)));
    return { snapshots, rows, loaded: room.getSnapshot().messages.length };
  }, room);
  expect(work.loaded).toBe(MOST);
  expect(work.snapshots).toBeLessThan(6);
  expect(work.rows).toBeLessThan(100);
  const rendered = await ada.page.evaluate(async () => {
    const scroller = document.querySelector(".rf-scroller")!;
    let rows = 0;
    for (let part = 20; part >= 0; part -= 1) {
      scroller.scrollTop = (scroller.scrollHeight * part) / 20;
      await new Promise((done) => requestAnimationFrame(() => setTimeout(done)));
      rows = Math.max(rows, document.querySelectorAll(".rf-rows > *").length);
    }
    return rows;
  });
  expect(rendered).toBeLessThan(100);
  await ada.message("entry 1.");
  // Development builds of React compare all props of each render, entry by entry.
  expect(await longestList(ada)).toBeLessThan(200);
});

/** The length of the longest list in the props of a component, or in an object of its props. */
function longestList(window: Window): Promise<number> {
  interface Fiber {
    memoizedProps: object | null;
    child: Fiber | null;
    sibling: Fiber | null;
  }
  return window.page.evaluate(() => {
    const root = document.getElementById("root")!;
    const key = Object.keys(root).find((name) => name.startsWith("__reactContainer$"))!;
    let longest = 0;
    const look = (value: unknown, depth: number): void => {
      if (Array.isArray(value)) longest = Math.max(longest, value.length);
      else if (typeof value === "object" && value !== null && depth > 0)
        for (const inner of Object.values(value)) look(inner, depth - 1);
    };
    const visit = (first: Fiber | null): void => {
      for (let fiber = first; fiber; fiber = fiber.sibling) {
        look(fiber.memoizedProps, 2);
        visit(fiber.child);
      }
    };
    visit((root as unknown as Record<string, Fiber>)[key]!);
    return longest;
  });
}

test("the arrow keys walk through the messages, and the focused one stays in the page", async () => {
  const room = newRoom();
  const bob = await joined("bob", room);
  for (let i = 1; i <= 60; i++) bob.room.send({ text: `entry ${i}.` });
  await until(bob.room, ({ messages }) => messages.filter(({ state }) => state === "sent").length === 60);
  const ada = await open({ user: "ada", room });
  await ada.message("entry 60.");
  const focused = () =>
    ada.page.evaluate(() => document.activeElement?.querySelector(".rf-text")?.textContent ?? "");
  await ada.page.locator('[role="article"]').last().focus();
  for (const wanted of [59, 58, 57]) {
    await ada.page.keyboard.press("ArrowUp");
    await expect.poll(focused).toBe(`entry ${wanted}.`);
  }
  for (let i = 0; i < 3; i++) await ada.page.keyboard.press("PageUp");
  await expect.poll(focused).toBe("entry 27.");
  await ada.at("scroller").evaluate((element) => element.scrollTo(0, element.scrollHeight));
  await ada.message("entry 60.");
  expect(await focused()).toBe("entry 27.");
});

test("a draft, a reply and mentions", async () => {
  const room = newRoom();
  const bob = await joined("bob", room);
  await bob.room.send({ text: "lunch?" }).sent;
  const ada = await open({ user: "ada", room });
  const line = await ada.message("lunch?");
  await ada.at("online-user").nth(1).waitFor();
  await line.hover();
  await line.getByTestId("reply").click();
  await ada.at("replying").filter({ hasText: "Replying to bob" }).waitFor();
  await ada.at("composer").pressSequentially("yes @bo");
  await ada.at("mention-option").filter({ hasText: "bob" }).waitFor();
  for (const key of ["ArrowDown", "ArrowUp", "Enter"]) await ada.at("composer").press(key);
  await ada.at("composer").pressSequentially("at noon");
  await ada.at("composer").press("Enter");
  await until(bob.room, ({ messages, mentions }) => messages.at(-1)?.replyTo === 1 && mentions === 1);
  expect(bob.room.getSnapshot().messages.at(-1)).toMatchObject({
    text: "yes @bob at noon",
    mentions: ["bob"],
  });
  await ada.at("mention").filter({ hasText: "@bob" }).waitFor();
  await ada.at("replying").waitFor({ state: "detached" });

  // The caret stands behind the chosen name before the next key can come.
  await ada.at("composer").fill("@bo later");
  await ada.at("composer").press("Home");
  for (let i = 0; i < 3; i++) await ada.at("composer").press("ArrowRight");
  await ada.at("mention-option").filter({ hasText: "bob" }).waitFor();
  const caret = await ada.at("composer").evaluate(async (field: HTMLTextAreaElement) => {
    field.dispatchEvent(new KeyboardEvent("keydown", { key: "Enter", bubbles: true, cancelable: true }));
    await Promise.resolve();
    return field.value.slice(0, field.selectionStart);
  });
  expect(caret).toBe("@bob ");

  await ada.at("composer").fill("half a thought");
  await expect
    .poll(() => ada.page.evaluate((name) => window.client.room(name).draft(), room))
    .toMatchObject({ text: "half a thought" });
  await ada.page.reload();
  await expect.poll(() => ada.at("composer").inputValue()).toBe("half a thought");
});

test("offline, the banner shows and messages wait; back online they are sent once", async () => {
  const room = newRoom();
  const ada = await open({ user: "ada", room });
  await ada.say("before");
  await ada.message("before", { state: "sent" });
  await ada.page.context().setOffline(true);
  await ada.at("banner", { kind: "offline" }).waitFor();
  await ada.say("during");
  await ada.message("during", { state: "sending" });
  await ada.picture("offline");
  await post(server, room, "missed one");
  await ada.page.context().setOffline(false);
  await ada.message("during", { state: "sent" });
  await ada.at("new-line").filter({ hasText: "You were away: 1 missed" }).waitFor();
  await ada.at("banner").waitFor({ state: "detached" });
  expect(await ada.at("message").count()).toBe(3);
});

test("a refused message shows the reason, and is sent by a retry once the user may write again", async () => {
  const room = newRoom();
  await server.api("PUT", `rooms/${room}`, { kind: "private" });
  await server.api("PUT", `rooms/${room}/members/ada`, {});
  const ada = await open({ user: "ada", room });
  await ada.at("empty").filter({ hasText: "No messages yet" }).waitFor();
  await ada.page.context().setOffline(true);
  await ada.at("banner").waitFor();
  await ada.say("let me in");
  await server.api("DELETE", `rooms/${room}/members/ada`, {});
  await ada.page.context().setOffline(false);
  const failed = await ada.message("let me in", { state: "failed" });
  await failed.getByText("Not sent").waitFor();
  await ada.picture("failed");
  await server.api("PUT", `rooms/${room}/members/ada`, {});
  await ada.page.getByText("You cannot open this room").waitFor({ state: "detached" });
  await ada.at("retry").click();
  await ada.message("let me in", { state: "sent", seq: 1 });

  await ada.say("x".repeat(20_000));
  await ada.at("discard").click();
  await ada.at("message", { state: "failed" }).waitFor({ state: "detached" });
});

test("text is never markup, and links lead only to safe addresses", async () => {
  const room = newRoom();
  const ada = await open({ user: "ada", room });
  await ada.say(
    '<img src=x onerror="document.title=1"> <b>bold</b> [x](javascript:alert(1)) ' +
      "https://example.com/a?b=c `<i>`",
  );
  const message = await ada.message("<b>bold</b>");
  expect(await message.locator("img, b, i").count()).toBe(0);
  const hrefs = await message.locator("a").evaluateAll((all) => all.map((link) => link.getAttribute("href")));
  expect(hrefs).toEqual(["https://example.com/a?b=c"]);
  expect(await ada.page.title()).toBe("Test app");
});

declare global {
  interface Window {
    client: import("@roomful/client").RoomfulClient;
    open(room: string | undefined): void;
  }
}
