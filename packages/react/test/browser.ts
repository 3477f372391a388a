// The test app in Chromium, built with a version of React; it talks to the real server.

import { mkdtempSync, rmSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { fileURLToPath } from "node:url";

import type { Browser, BrowserContextOptions, Locator, Page } from "playwright-core";
import { build, preview, type PreviewServer } from "vite";

import type { TestRoomful } from "../../testing/src/index.ts";

export { launch } from "../../client/test/launch.ts";

/** Milliseconds before a wait fails. Only a failing test waits that long. */
const PATIENCE = 60_000;
const here = fileURLToPath(new URL(".", import.meta.url));

/** What to build. */
export interface AppOptions {
  readonly react?: "18" | "19";
  /** The code of the page `readme.html`: a module with a component as default export. */
  readonly readme?: string;
}

/** The built test app. */
export class App {
  static async start(options: AppOptions = {}): Promise<App> {
    const { react = "19", readme = "export default () => null;" } = options;
    const outDir = mkdtempSync(join(tmpdir(), "roomful-react-"));
    const packages = react === "18" ? { react: "react-18", "react-dom": "react-dom-18" } : {};
    await build({
      configFile: false,
      root: join(here, "app"),
      logLevel: "warn",
      define: { "process.env.NODE_ENV": '"development"' },
      plugins: [
        {
          name: "readme",
          resolveId: (id) => (id === "virtual:readme.tsx" ? join(here, "app/readme.tsx") : null),
          load: (id) => (id === join(here, "app/readme.tsx") ? readme : null),
        },
      ],
      resolve: {
        alias: [
          { find: "@roomful/react/styles.css", replacement: join(here, "../src/styles/index.css") },
          { find: "@roomful/react", replacement: join(here, "../src/index.ts") },
          { find: "@roomful/client", replacement: join(here, "../../client/src/index.ts") },
          ...Object.entries(packages).map(([find, name]) => ({
            find: new RegExp(`^${find}(/.*)?$`),
            replacement: `${name}$1`,
          })),
        ],
      },
      build: {
        outDir,
        emptyOutDir: true,
        minify: false,
        // The directive is for frameworks with server components.
        rolldownOptions: {
          checks: { moduleLevelDirective: false, pluginTimings: false },
          input: [join(here, "app/index.html"), join(here, "app/readme.html")],
        },
      },
    });
    const files = await preview({
      configFile: false,
      root: join(here, "app"),
      build: { outDir },
      preview: { port: 0, host: "127.0.0.1" },
    });
    return new App(files, outDir);
  }

  readonly #files: PreviewServer;
  readonly #folder: string;
  readonly url: string;

  private constructor(files: PreviewServer, folder: string) {
    this.#files = files;
    this.#folder = folder;
    this.url = files.resolvedUrls?.local[0] ?? "";
  }

  async stop(): Promise<void> {
    await this.#files.close();
    rmSync(this.#folder, { recursive: true, force: true });
  }
}

/** One window: one user with an own storage. `faults` collects errors of the page and of React. */
export class Window {
  readonly faults: string[] = [];
  readonly page: Page;

  private constructor(page: Page) {
    this.page = page;
    page.on("pageerror", (error) => this.faults.push(String(error)));
    page.on("console", (message) => {
      // A refused connection while the server or the network is away is not the page's fault.
      if (message.type() === "error" && !/ERR_|WebSocket|502|500/.test(message.text()))
        this.faults.push(message.text());
    });
  }

  static async open(
    browser: Browser,
    server: TestRoomful,
    app: App,
    query: { user: string; room?: string; dir?: string },
    options: BrowserContextOptions = {},
  ): Promise<Window> {
    const context = await browser.newContext({ viewport: { width: 1100, height: 720 }, ...options });
    context.setDefaultTimeout(PATIENCE);
    const window = new Window(await context.newPage());
    const token = server.token(query.user, { name: nameOf(query.user) });
    const search = new URLSearchParams({ ...query, server: server.url, token });
    await window.page.goto(`${app.url}?${search}`);
    return window;
  }

  /** The element with this test id, narrowed by attributes: at("message", {seq: 1}). */
  at(testid: string, data: Record<string, string | number | boolean> = {}): Locator {
    const rest = Object.entries(data).map(([name, value]) => `[data-${name}="${value}"]`);
    return this.page.locator(`[data-testid="${testid}"]${rest.join("")}`);
  }

  async say(text: string): Promise<void> {
    await this.at("composer").fill(text);
    await this.at("composer").press("Enter");
  }

  /** The message with this text, once it is on the page. */
  async message(text: string, data: Record<string, string | number | boolean> = {}): Promise<Locator> {
    const message = this.at("message", data).filter({ hasText: text });
    await message.waitFor();
    return message;
  }

  /** Keeps a picture if `SCREENSHOTS` names a folder. */
  async picture(name: string): Promise<void> {
    const folder = process.env["SCREENSHOTS"];
    if (folder !== undefined) await this.page.screenshot({ path: join(folder, `${name}.png`) });
  }

  close(): Promise<void> {
    return this.page.context().close();
  }
}

const nameOf = (user: string): string => user.charAt(0).toUpperCase() + user.slice(1);
