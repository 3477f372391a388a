// How the kit looks and reads: axe in light and dark, right to left and on a phone.

import { readFileSync } from "node:fs";
import { createRequire } from "node:module";

import type { AxeResults } from "axe-core";
import type { Browser, BrowserContextOptions } from "playwright-core";
import { afterAll, afterEach, beforeAll, describe, expect, test } from "vitest";

import { clientFor, closeClients, enter } from "../../client/test/server.ts";
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
  await furnish();
});
afterEach(async () => {
  const faults = windows.flatMap((window) => window.faults);
  await Promise.all(windows.splice(0).map((window) => window.close()));
  expect(faults).toEqual([]);
});
afterAll(async () => {
  await closeClients();
  await app?.stop();
  await browser?.close();
  await server?.stop();
});

/** Fills the server with people, rooms and messages of every kind. */
async function furnish(): Promise<void> {
  const people = {
    grace: "Grace Hopper",
    linus: "Linus",
    noor: "نور الهدى",
  };
  const arrive = async (user: keyof typeof people, room: string) => {
    const client = clientFor(server, user, {
      token: async () => server.token(user, { name: people[user] }),
    });
    return { client, room: await enter(client, room) };
  };
  await server.api("PUT", "rooms/design", { kind: "public" });
  await server.api("PUT", "rooms/random", { kind: "public" });
  for (const room of ["design", "random"]) await server.api("PUT", `rooms/${room}/members/ada`, {});
  const grace = await arrive("grace", "design");
  const linus = await arrive("linus", "design");
  const noor = await arrive("noor", "design");
  const say = (who: typeof grace, text: string, more: object = {}) => who.room.send({ text, ...more }).sent;
  await say(grace, "Morning! The new composer is on staging: https://staging.example.com/composer?tab=1");
  await say(grace, "It keeps **drafts**, knows `@mentions`, and shows _replies_.");
  await say(linus, "Nice. One thing:\n\n- the placeholder is too pale\n- `Enter` works, `Shift+Enter` too");
  await say(linus, '```ts\nconst room = client.room("design");\nawait room.join();\n```');
  await say(noor, "صباح الخير، الشكل الجديد جميل جدا 👏");
  await say(grace, "Thank you! Fixed the placeholder.", { replyTo: 3 });
  await say(linus, "a message to delete");
  await linus.room.remove(7);
  await say(linus, "@Ada can you have a look?", { mentions: ["ada"] });
  await grace.room.react(1, "🎉");
  await linus.room.react(1, "🎉");
  await linus.room.react(1, "👍");
  await grace.room.edit(2, "It keeps **drafts**, knows `@mentions`, and shows _replies_ now.");
  await linus.client.setStatus("away", "Lunch");
  await noor.client.setStatus("busy");
  const random = await arrive("grace", "random");
  await say(random, "Cake in the kitchen 🍰");
  for (const title of ["Build 812 is green", "You were added to design"])
    await server.api("POST", "notifications", {
      userIds: ["ada"],
      kind: "news",
      title,
      body: "Have a look.",
    });
  grace.room.typing();
}

async function visit(name: string, dir: "ltr" | "rtl", options: BrowserContextOptions): Promise<Window> {
  const window = await Window.open(browser, server, app, { user: "ada", room: "design", dir }, options);
  windows.push(window);
  await window.message("can you have a look?");
  await window.at("online-user").nth(3).waitFor({ state: "attached" });
  await window.at("bell-badge").waitFor();
  const line = await window.message("Thank you! Fixed");
  await window.picture(name);
  await line.hover();
  await line.getByTestId("react").click();
  await window.picture(`${name}-picker`);
  await window.page.keyboard.press("Escape");
  await line.getByTestId("reply").click();
  await window.at("composer").fill("On it, @li");
  await window.at("composer").press("End");
  await window.at("mention-list").waitFor();
  await window.picture(`${name}-reply`);
  return window;
}

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
  ["phone", "ltr", { colorScheme: "light", ...PHONE }],
  ["phone-dark-rtl", "rtl", { colorScheme: "dark", ...PHONE }],
];

test("lists have a ground, and the bell takes the page's colour, where the page has no theme", async () => {
  const window = await visit("bare", "ltr", { colorScheme: "dark" });
  const colours = await window.page.evaluate(() => {
    // The kit's own rules stay.
    for (const sheet of document.styleSheets)
      for (let at = sheet.cssRules.length - 1; at >= 0; at -= 1)
        if (!sheet.cssRules[at]!.cssText.includes("rf-")) sheet.deleteRule(at);
    const style = (selector: string) => getComputedStyle(document.querySelector(selector)!);
    return {
      grounds: [".rf-chat", ".rf-members", ".rf-rooms-list"].map((one) => style(one).backgroundColor),
      bell: style(".rf-bell > button").color,
      page: getComputedStyle(document.body).color,
    };
  });
  expect(colours.grounds.filter((ground) => ground.startsWith("rgba"))).toEqual([]);
  expect(colours.bell).toBe(colours.page);
});

test("the list of notifications opens on the page, wherever the bell stands", async () => {
  const window = await visit("corners", "ltr", {});
  for (const [side, edge] of [
    ["left", 20],
    ["left", 400],
    ["right", 20],
  ]) {
    await window.page.evaluate(
      ([side, edge]) => {
        const bell = document.querySelector<HTMLElement>(".rf-bell")!;
        bell.style.cssText = `position: fixed; z-index: 9; top: 20px; ${side}: ${edge}px`;
      },
      [side, edge],
    );
    await window.at("bell").click();
    const box = (await window.at("notices").boundingBox())!;
    const { width } = window.page.viewportSize()!;
    expect(box.x).toBeGreaterThanOrEqual(0);
    expect(box.x + box.width).toBeLessThanOrEqual(width);
    await window.page.keyboard.press("Escape");
    await window.at("notices").waitFor({ state: "detached" });
  }
});

describe.each(LOOKS)("%s", (name, dir, options) => {
  test("axe finds no fault, with and without open lists, and nothing is too wide", async () => {
    const window = await visit(name, dir, options);
    expect(await violations(window)).toEqual([]);
    await window.page.keyboard.press("Escape");
    await window.at("bell").click();
    await window.at("notices").waitFor();
    await window.picture(`${name}-bell`);
    expect(await violations(window)).toEqual([]);
    const [content, screen] = await window.page.evaluate(() => [
      document.documentElement.scrollWidth,
      document.documentElement.clientWidth,
    ]);
    expect(content).toBeLessThanOrEqual(screen ?? 0);
  });
});

test("a theme changes by its variables", async () => {
  const window = await visit("themed", "ltr", { colorScheme: "light" });
  await window.page.evaluate(() =>
    document.documentElement.style.setProperty("--rf-accent", "rgb(1, 2, 3)"),
  );
  const colour = await window.at("send").evaluate((button) => getComputedStyle(button).backgroundColor);
  expect(colour).toBe("rgb(1, 2, 3)");
});

test("classes of buttons set their own font, whatever the reset says", async () => {
  const window = await visit("fonts", "ltr", { colorScheme: "light" });
  await window.page.keyboard.press("Escape");
  await window.at("bell").click();
  const link = await window
    .at("notices")
    .locator(".rf-link")
    .first()
    .evaluate((button) => [getComputedStyle(button).fontWeight, getComputedStyle(button).fontSize]);
  expect(link).toEqual(["600", "13px"]);
});

declare global {
  interface Window {
    axe: typeof import("axe-core");
  }
}
