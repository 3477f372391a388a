// The package in Chromium: tabs of one browser with a client each, as an app's page has it.

import { createServer, type Server } from "node:http";
import type { AddressInfo } from "node:net";

import { build } from "esbuild";
import type { Browser, BrowserContext, Page } from "playwright-core";

import type { TestRoomful } from "../../testing/src/index.ts";
import type { Room, RoomfulClient } from "../src/index.ts";
import { launch } from "./launch.ts";

/** Milliseconds before a wait fails. Only a failing test waits that long. */
const PATIENCE = 20_000;

const PAGE = '<!doctype html><link rel="icon" href="data:,"><script src="/client.js"></script>';

/** What the page of a tab has. */
interface TabGlobals {
  Roomful: { RoomfulClient: typeof RoomfulClient };
  client: RoomfulClient;
  room: Room;
  /** What the browser has stored. */
  storage: () => Promise<Map<string, unknown>>;
}
declare const globalThis: TabGlobals;

/** Chromium, and a page that has nothing but the package. */
export class TestBrowser {
  static async start(): Promise<TestBrowser> {
    const { outputFiles } = await build({
      entryPoints: [new URL("../src/index.ts", import.meta.url).pathname],
      bundle: true,
      format: "iife",
      globalName: "Roomful",
      write: false,
    });
    const code = outputFiles[0]?.text ?? "";
    const files = createServer((request, response) => {
      const script = request.url === "/client.js";
      response.setHeader("content-type", script ? "text/javascript" : "text/html");
      response.end(script ? code : PAGE);
    });
    await new Promise<void>((resolve) => files.listen(0, "127.0.0.1", resolve));
    return new TestBrowser(await launch(), files);
  }

  readonly #browser: Browser;
  readonly #files: Server;
  readonly origin: string;

  private constructor(browser: Browser, files: Server) {
    this.#browser = browser;
    this.#files = files;
    this.origin = `http://127.0.0.1:${(files.address() as AddressInfo).port}`;
  }

  /** A device: its tabs share one storage. `prepare` runs in each tab before the page's own code. */
  async device(prepare?: () => void): Promise<BrowserContext> {
    const device = await this.#browser.newContext();
    device.setDefaultTimeout(PATIENCE);
    if (prepare) await device.addInitScript(prepare);
    await device.addInitScript(readsStorage);
    return device;
  }

  /** Lets the pages of a device store no more than this. It ends with the device. */
  async limit(device: BrowserContext, quotaSize: number): Promise<void> {
    const page = await device.newPage();
    const devtools = await device.newCDPSession(page);
    await devtools.send("Storage.overrideQuotaForOrigin", { origin: this.origin, quotaSize });
  }

  /** Opens a tab whose client connects as `user`, with a view of the room. */
  async tab(device: BrowserContext, server: TestRoomful, user: string, room: string): Promise<Tab> {
    const page = await device.newPage();
    await page.goto(this.origin);
    await page.evaluate(
      ({ url, token, name }) => {
        const client = new globalThis.Roomful.RoomfulClient(url, {
          token: async () => token,
          persistence: "indexeddb",
        });
        Object.assign(globalThis, { client, room: client.room(name) });
        client.connect();
        globalThis.room.join().catch(() => undefined);
      },
      { url: server.url, token: server.token(user), name: room },
    );
    return new Tab(page);
  }

  async stop(): Promise<void> {
    await this.#browser.close();
    this.#files.close();
  }
}

/** A tab with a client and an open room. */
export class Tab {
  readonly page: Page;

  constructor(page: Page) {
    this.page = page;
  }

  /** Writes messages, without waiting for them. */
  async write(texts: readonly string[]): Promise<void> {
    await this.page.evaluate((all) => {
      for (const text of all) globalThis.room.send({ text });
    }, texts);
  }

  async joined(): Promise<void> {
    await this.page.waitForFunction(() => globalThis.room.getSnapshot().joined);
  }

  async offline(): Promise<void> {
    await this.page.waitForFunction(() => globalThis.client.connection.getSnapshot().state === "offline");
  }

  /** Waits until `count` messages show as sent, and resolves to the texts of all. */
  async sent(count: number): Promise<string[]> {
    const texts = await this.page.waitForFunction((wanted) => {
      const { messages } = globalThis.room.getSnapshot();
      const sent = messages.filter(({ state }) => state !== "sending" && state !== "failed");
      return sent.length >= wanted && messages.map(({ text }) => text);
    }, count);
    return (await texts.jsonValue()) as string[];
  }

  /** Waits until the tab shows `count` messages and says that they may be outdated. */
  async cached(count: number): Promise<void> {
    await this.page.waitForFunction((wanted) => {
      const { messages, stale } = globalThis.room.getSnapshot();
      return stale && messages.length === wanted;
    }, count);
  }

  /** Waits until each message that the tab has written is sent or stored. */
  async stored(): Promise<void> {
    await this.page.evaluate(async () => {
      for (;;) {
        const { messages } = globalThis.room.getSnapshot();
        const pending = messages.filter(({ state }) => state === "sending").length;
        const keys = [...(await globalThis.storage()).keys()];
        if (keys.filter((key) => key.startsWith("outbox/")).length >= pending) return;
      }
    });
  }

  /** Waits until the cache has a message of this text. */
  async caches(text: string): Promise<void> {
    await this.page.evaluate(async (wanted) => {
      for (;;) {
        const cached = (await globalThis.storage()).get(`room/${globalThis.room.name}`) ?? "";
        if (JSON.stringify(cached).includes(JSON.stringify(wanted))) return;
      }
    }, text);
  }

  /** Why the browser refuses to store more; empty if it does not. */
  async refusal(): Promise<string> {
    return this.page.evaluate(async () => {
      const [{ name = "" } = {}] = await indexedDB.databases();
      const opened = indexedDB.open(name);
      await new Promise((resolve) => (opened.onsuccess = resolve));
      const transaction = opened.result.transaction("values", "readwrite");
      transaction.objectStore("values").put("x".repeat(1_000_000), "probe");
      return new Promise<string>((resolve) => {
        transaction.oncomplete = () => resolve("");
        transaction.onabort = () => resolve(String(transaction.error));
      });
    });
  }

  /** Kills the tab's process, as the system does when memory runs out. */
  async crash(): Promise<void> {
    const crashed = this.page.waitForEvent("crash");
    void this.page.goto("chrome://crash").catch(() => undefined);
    await crashed;
  }

  async laws(): Promise<unknown> {
    return this.page.evaluate(() => globalThis.client.laws.violations);
  }
}

/** Gives a page the function that reads its storage. It runs in the page, so it uses nothing of this file. */
function readsStorage(): void {
  const done = <T>(request: IDBRequest<T>): Promise<T> =>
    new Promise((resolve, reject) => {
      request.onsuccess = () => resolve(request.result);
      request.onerror = () => reject(request.error);
    });
  globalThis.storage = async () => {
    const [{ name = "" } = {}] = await indexedDB.databases();
    const database = await done(indexedDB.open(name));
    const values = database.transaction("values").objectStore("values");
    const [keys, all] = await Promise.all([done(values.getAllKeys()), done(values.getAll())]);
    database.close();
    return new Map(keys.map((key, n) => [String(key), all[n] as unknown]));
  };
}
