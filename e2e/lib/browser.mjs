// Debian's Chromium, and browser windows on the server's pages.

import { existsSync } from "node:fs";
import { join } from "node:path";

import { chromium } from "playwright-core";

import { PATIENCE } from "./waiting.mjs";

/** Starts Chromium. Set `CHROMIUM` to use another binary than Debian's. */
export function launch() {
  const path = process.env.CHROMIUM ?? "/usr/bin/chromium";
  if (!existsSync(path))
    throw new Error(`no Chromium at ${path}: apt-get install chromium, or set CHROMIUM`);
  // Chromium has no sandbox for root in a container; the tests browse only our own page on loopback.
  return chromium.launch({ executablePath: path, args: ["--no-sandbox", "--disable-dev-shm-usage"] });
}

/** One window with its own storage: one user. `faults` collects the page's errors. */
export class Window {
  /** Opens the chat page, or the page at `path`. */
  static async open(browser, server, { path = "", ...options } = {}) {
    const context = await browser.newContext({ viewport: { width: 1280, height: 800 }, ...options });
    context.setDefaultTimeout(PATIENCE);
    const window = new Window();
    window.context = context;
    window.page = await context.newPage();
    window.faults = [];
    window.page.on("pageerror", (error) => window.faults.push(String(error)));
    window.page.on("console", (message) => {
      // A refused connection, or 503 from a server that starts, is not the page's fault.
      if (
        message.type() === "error" &&
        !/ERR_CONNECTION|ERR_INTERNET_DISCONNECTED|WebSocket connection|ERR_EMPTY|status of 503/.test(
          message.text(),
        )
      ) {
        window.faults.push(message.text());
      }
    });
    await window.page.goto(`${server.url}${path}`);
    return window;
  }

  /** Opens a window, signs in with the keyboard and enters `room`. */
  static async signIn(browser, server, name, room, options) {
    const window = await Window.open(browser, server, options);
    await window.at("sign-in-name").fill(name);
    await window.at("sign-in-name").press("Enter");
    await window.at("room-list").waitFor({ state: "attached" });
    if (room) await window.enter(room);
    return window;
  }

  /** The element with this test id, narrowed by attributes: at("message", {seq: 1}). */
  at(testid, data = {}) {
    const rest = Object.entries(data).map(([name, value]) => `[data-${name}="${value}"]`);
    return this.page.locator(`[data-testid="${testid}"]${rest.join("")}`);
  }

  async enter(room) {
    await this.at("add-room").fill(room);
    await this.at("add-room").press("Enter");
    await this.at("room-item", { room }).locator('[aria-current="page"]').waitFor({ state: "attached" });
    await this.at("online-user").first().waitFor({ state: "attached" });
  }

  async say(text) {
    await this.at("composer").fill(text);
    await this.at("composer").press("Enter");
  }

  /** The message with this text, once it is on the page. */
  async message(text, data) {
    const message = this.at("message", data).filter({ hasText: text });
    await message.waitFor();
    return message;
  }

  /** Keeps a picture if `SCREENSHOTS` names a folder. */
  async picture(name) {
    const folder = process.env.SCREENSHOTS;
    if (folder) await this.page.screenshot({ path: join(folder, `${name}.png`) });
  }

  close() {
    return this.context.close();
  }
}
