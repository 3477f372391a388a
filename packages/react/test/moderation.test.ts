// Moderation in Chromium against the real server: what a moderator can do, and what the others see of it.

import { readFileSync } from "node:fs";
import { createRequire } from "node:module";

import type { AxeResults } from "axe-core";
import type { Browser, BrowserContextOptions } from "playwright-core";
import { afterAll, afterEach, beforeAll, describe, expect, test } from "vitest";

import { startRoomful, type TestRoomful } from "../../testing/src/index.ts";
import { App, Window, launch } from "./browser.ts";

const axe = readFileSync(createRequire(import.meta.url).resolve("axe-core/axe.min.js"), "utf8");

let server: TestRoomful;
let browser: Browser;
let app: App;
const windows: Window[] = [];
beforeAll(async () => {
  server = await startRoomful();
  browser = await launch();
  app = await App.start();
});
afterEach(async () => {
  const faults = windows.flatMap((window) => window.faults);
  await Promise.all(windows.splice(0).map((window) => window.close()));
  expect(faults).toEqual([]);
});
afterAll(async () => {
  await app?.stop();
  await browser?.close();
  await server?.stop();
});

let rooms = 0;

async function open(user: string, room: string, dir = "ltr", options: BrowserContextOptions = {}) {
  const window = await Window.open(browser, server, app, { user, room, dir }, options);
  windows.push(window);
  return window;
}

/** A room with the moderator Ada and the member Bob in two windows, and a message of each. */
async function twoWindows(dir = "ltr", options: BrowserContextOptions = {}) {
  const room = `room-${++rooms}`;
  await server.api("PUT", `rooms/${room}`, { kind: "public" });
  await server.api("PUT", `rooms/${room}/members/ada`, { role: "moderator" });
  await server.api("PUT", `rooms/${room}/members/bob`, {});
  const [ada, bob] = [await open("ada", room, dir, options), await open("bob", room, dir, options)];
  await bob.say("buy my things");
  await ada.message("buy my things");
  await ada.say("please don't");
  await bob.message("please don't");
  const role = ({ page }: Window) =>
    page.evaluate((name) => window.client.room(name).getSnapshot().role, room);
  await expect.poll(() => role(ada)).toBe("moderator");
  await expect.poll(() => role(bob)).toBe("member");
  return { room, ada, bob };
}

/** Opens the menu of a message. */
async function menuOf(window: Window, text: string): Promise<void> {
  const message = await window.message(text);
  await message.hover();
  await message.getByTestId("menu").click();
  await window.at("menu-list").waitFor();
}

const note = (window: Window, text: string | RegExp) =>
  window.at("writing-note").filter({ hasText: text }).waitFor();

test("a moderator deletes a member's message; members get no such buttons", async () => {
  const { ada, bob } = await twoWindows();
  const line = await ada.message("buy my things");
  await line.hover();
  await line.getByTestId("delete").click();
  await ada.at("delete-sure").click();
  await bob.message("This message was deleted", { seq: 1 });
  const others = await bob.message("please don't");
  await others.hover();
  await others.getByTestId("reply").waitFor();
  expect(await others.getByTestId("delete").count()).toBe(0);
  expect(await bob.at("room-controls").count()).toBe(0);
  await others.getByTestId("menu").click();
  await bob.at("block").waitFor();
  for (const entry of ["mute", "unmute", "ban", "unban", "delete-all"])
    expect(await bob.at(entry).count()).toBe(0);
});

test("a mute by keyboard: the user reads until when and why, and writes again after its end", async () => {
  const { ada, bob } = await twoWindows();
  await bob.at("composer").fill("half a thought");
  const line = await ada.message("buy my things");
  await line.hover();
  await line.getByTestId("menu").press("Enter");
  await ada.at("mute").and(ada.page.locator(":focus")).waitFor();
  await ada.page.keyboard.press("ArrowUp");
  await ada.at("block").and(ada.page.locator(":focus")).waitFor();
  await ada.page.keyboard.press("ArrowDown");
  await ada.at("mute").and(ada.page.locator(":focus")).waitFor();
  await ada.page.keyboard.press("Enter");
  await ada.at("sanction").waitFor();
  await ada.page.keyboard.press("Escape");
  await ada.at("sanction").waitFor({ state: "detached" });
  await line.getByTestId("menu").and(ada.page.locator(":focus")).press("Enter");
  await ada.page.keyboard.press("Enter");
  await ada.at("sanction-duration").selectOption({ label: "1 hour" });
  await ada.at("sanction-reason").fill("too loud");
  await ada.at("sanction-reason").press("Enter");
  await ada.at("sanction").waitFor({ state: "detached" });
  await note(bob, /You are muted in this room until \d.*\. Reason: too loud/);
  expect(await bob.at("composer").isDisabled()).toBe(true);
  expect(await bob.at("send").isDisabled()).toBe(true);

  const row = ada.at("online-user", { user: "bob" });
  await row.getByTestId("menu").click();
  await ada.at("unmute").click();
  await bob.at("writing-note").waitFor({ state: "detached" });
  expect(await bob.at("composer").inputValue()).toBe("half a thought");
  await bob.at("composer").press("Enter");
  await ada.message("half a thought");
});

test("the menu offers to end a mute or ban that is known to hold, and else to begin one", async () => {
  const { room, ada, bob } = await twoWindows();
  const entries = async () => {
    await menuOf(ada, "buy my things");
    const ids = await ada
      .at("menu-list")
      .locator("button")
      .evaluateAll((all) => all.map((button) => button.dataset["testid"]));
    await ada.picture(`menu-of-${ids.join("-")}`);
    await ada.page.keyboard.press("Escape");
    await ada.at("menu-list").waitFor({ state: "detached" });
    return ids.slice(0, -3);
  };
  const order = (action: "mute" | "unmute" | "ban" | "unban") =>
    ada.page.evaluate(
      ([name, action]) => window.client.room(name).moderate({ action, userId: "bob" }),
      [room, action] as const,
    );
  await expect.poll(entries).toEqual(["mute", "ban"]);
  await order("mute");
  await expect.poll(entries).toEqual(["unmute", "ban"]);
  // A page that missed the act finds the mute in the list of members.
  await ada.page.reload();
  await expect.poll(entries).toEqual(["unmute", "ban"]);
  await order("unmute");
  await expect.poll(entries).toEqual(["mute", "ban"]);
  await order("ban");
  await bob.at("refused").waitFor();
  await expect.poll(entries).toEqual(["mute", "unban"]);
  await order("unban");
  await expect.poll(entries).toEqual(["mute", "ban"]);
});

test("a frozen room locks the composer of members, and not of moderators", async () => {
  const { ada, bob } = await twoWindows();
  await ada.at("freeze").check();
  await note(bob, "This room is frozen. Only moderators can write.");
  expect(await bob.at("composer").isDisabled()).toBe(true);
  await note(ada, "members cannot write");
  await ada.say("a word from above");
  await bob.message("a word from above");
  await ada.at("freeze").uncheck();
  await bob.at("writing-note").waitFor({ state: "detached" });
  await bob.say("we are back");
  await ada.message("we are back");
});

test("the field of the slow mode has the width of its content, however wide the page is", async () => {
  const { ada } = await twoWindows();
  await ada.page.addStyleTag({ content: ".app { grid-template-columns: 100px 100px 1fr !important; }" });
  const widths = () =>
    ada.page.evaluate(() =>
      ["room-controls", "slow-mode"].map(
        (id) => document.querySelector(`[data-testid="${id}"]`)!.getBoundingClientRect().width,
      ),
    );
  await expect.poll(async () => (await widths())[0]).toBeGreaterThan(700);
  expect((await widths())[1]).toBeLessThan(160);
  await ada.picture("slow-mode-wide");
  // In a narrow column, it goes below its label, and is not cut off.
  await ada.page.addStyleTag({ content: ".app { grid-template-columns: 100px 1fr 180px !important; }" });
  await expect.poll(async () => (await widths())[0]).toBeLessThan(180);
  const [panel, field] = await widths();
  expect(field).toBeLessThan(panel! - 20);
  expect(field).toBeGreaterThan(110);
  await ada.picture("slow-mode-narrow");
});

test("slow mode counts down, keeps what the user types, and does not bind moderators", async () => {
  const { ada, bob } = await twoWindows();
  await ada.at("slow-mode").selectOption({ label: "5 seconds" });
  await note(bob, "Slow mode: one message every 5 seconds.");
  await ada.page.waitForFunction(
    () => document.querySelector<HTMLSelectElement>("[data-testid=slow-mode]")?.value === "5",
  );
  await bob.page.clock.install();
  await bob.say("one");
  await ada.message("one");
  await bob.at("slow-wait").filter({ hasText: "You can write again in" }).waitFor();
  await bob.say("two");
  expect(await bob.at("composer").inputValue()).toBe("two");
  expect(await bob.at("send").isDisabled()).toBe(true);
  await bob.page.clock.runFor(6_000);
  await bob.at("slow-wait").waitFor({ state: "detached" });
  await bob.at("composer").press("Enter");
  await ada.message("two");
  expect(await ada.at("writing-note").count()).toBe(0);
  await ada.at("slow-mode").selectOption({ label: "Off" });
  await bob.at("writing-note").waitFor({ state: "detached" });
});

test("a banned user loses the room with the reason, and has it again after the end of the ban", async () => {
  const { room, ada, bob } = await twoWindows();
  await menuOf(ada, "buy my things");
  await ada.at("ban").click();
  await ada.at("sanction-reason").fill("spam");
  await ada.at("sanction-submit").click();
  await ada.at("sanction").waitFor({ state: "detached" });
  await bob
    .at("refused")
    .filter({ hasText: `You are banned from ${room}. Reason: spam` })
    .waitFor();
  await bob.at("removal", { room }).filter({ hasText: "Reason: spam" }).waitFor();
  await bob.at("room-item", { room }).waitFor({ state: "detached" });
  expect(await bob.at("composer").isDisabled()).toBe(true);
  await ada.at("online-user", { user: "bob" }).waitFor({ state: "detached" });
  await menuOf(ada, "buy my things");
  await ada.at("unban").click();
  await bob.message("please don't");
  await bob.at("removal").waitFor({ state: "detached" });
  await bob.at("room-item", { room }).waitFor();

  await menuOf(ada, "buy my things");
  await ada.at("ban").click();
  await ada.at("sanction-clean").check();
  await ada.at("sanction-submit").click();
  await ada.message("This message was deleted", { seq: 1 });
});

test("a blocked user's messages hide behind a line, on all devices, until the end of the block", async () => {
  const { room, ada, bob } = await twoWindows();
  // In a room of two, nobody could write any more.
  await server.api("PUT", `rooms/${room}/members/cleo`, {});
  const tablet = await open("bob", room);
  await tablet.message("please don't");
  await menuOf(bob, "please don't");
  await bob.at("block").click();
  await bob.at("block-sure-submit").click();
  for (const window of [bob, tablet]) {
    const line = await window.message("Message of a blocked user", { blocked: true, seq: 2 });
    expect(await line.innerText()).not.toContain("please");
    await window.at("room-item", { room }).getByText("Message of a blocked user").waitFor();
  }
  await ada.at("composer").pressSequentially("are you there?");
  await ada.at("composer").press("Enter");
  await bob.message("Message of a blocked user", { seq: 3 });
  expect(await bob.at("typing").innerText()).toBe("");
  await bob.picture("blocked");
  await bob.at("message", { seq: 2 }).getByTestId("show-blocked").click();
  await menuOf(bob, "please don't");
  await bob.at("unblock").click();
  for (const window of [bob, tablet]) await window.message("are you there?");
});

test("a reported message reaches the moderators with a reason", async () => {
  const { room, bob } = await twoWindows();
  await menuOf(bob, "please don't");
  await bob.at("report").click();
  await bob.at("report-reason").selectOption({ label: "It insults or threatens somebody" });
  await bob.at("report-text").fill("She means me");
  await bob.picture("report");
  expect(await violations(bob)).toEqual([]);
  await bob.at("report-form-submit").click();
  await bob.at("report-form-done").waitFor();
  await bob.at("done").press("Enter");
  await bob.at("report-form-done").waitFor({ state: "detached" });
  const { reports } = await server.api<{ reports: object[] }>("GET", "moderation/reports?state=open");
  expect(reports).toMatchObject([{ room, reason: "harassment", text: "She means me" }]);
});

test("a refusal of the server shows in the dialog, which stays open", async () => {
  const { room, ada } = await twoWindows();
  await menuOf(ada, "buy my things");
  await ada.at("delete-all").click();
  await server.api("PUT", `rooms/${room}/members/ada`, { role: "member" });
  await ada.at("delete-all-sure-submit").click();
  await ada.at("delete-all-sure").getByRole("alert").filter({ hasText: "only a moderator" }).waitFor();
  await ada.at("delete-all-sure-cancel").click();
  await ada.at("delete-all-sure").waitFor({ state: "detached" });
});

/** What axe finds wrong with the page as it is. */
async function violations(window: Window): Promise<string[]> {
  await window.page.evaluate(axe);
  const found = (await window.page.evaluate(() => self.axe.run())) as AxeResults;
  return found.violations.flatMap(({ id, nodes }) =>
    nodes.map(({ html, failureSummary }) => `${id}: ${html} ${failureSummary ?? ""}`),
  );
}

const PHONE = { viewport: { width: 360, height: 740 }, hasTouch: true, isMobile: true };
const LOOKS: [string, "ltr" | "rtl", BrowserContextOptions][] = [
  ["light", "ltr", { colorScheme: "light" }],
  ["dark", "ltr", { colorScheme: "dark" }],
  ["rtl", "rtl", { colorScheme: "light" }],
  ["phone-dark", "ltr", { colorScheme: "dark", ...PHONE }],
];

describe.each(LOOKS)("%s", (name, dir, options) => {
  test("menu, dialog, notes and refusal are accessible and fit the window", async () => {
    const { ada, bob } = await twoWindows(dir, options);
    const check = async (window: Window, state: string) => {
      await window.picture(`moderation-${name}-${state}`);
      expect(await violations(window), state).toEqual([]);
    };
    await menuOf(ada, "buy my things");
    const box = await ada.at("menu-list").boundingBox();
    const size = ada.page.viewportSize();
    expect(box && box.x >= 0 && box.y >= 0 && box.x + box.width <= size!.width).toBe(true);
    expect(box!.y + box!.height).toBeLessThanOrEqual(size!.height);
    await check(ada, "menu");
    await ada.at("ban").click();
    await ada.at("sanction-reason").fill("Spam, for the third time");
    await check(ada, "ban");
    await ada.page.keyboard.press("Escape");
    await ada.at("sanction").waitFor({ state: "detached" });
    await ada.page.evaluate(async (name) => {
      const room = window.client.room(name);
      await room.moderate({ action: "slow_mode", seconds: 30 });
      await room.moderate({ action: "mute", userId: "bob", until: Date.now() + 3_600_000, reason: "Spam" });
    }, `room-${rooms}`);
    await note(bob, "You are muted");
    await check(bob, "muted");
    await check(ada, "moderator");
    await ada.page.evaluate(
      (name) => window.client.room(name).moderate({ action: "ban", userId: "bob", reason: "Spam, again" }),
      `room-${rooms}`,
    );
    await bob.at("refused").filter({ hasText: "Spam, again" }).waitFor();
    await check(bob, "banned");
  });
});
