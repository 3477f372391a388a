// Takes pictures of the built site, in light and dark and on a phone: node site/screenshots.mjs FOLDER

import { createServer } from "node:http";
import { existsSync, readFileSync } from "node:fs";
import { once } from "node:events";
import { extname, join } from "node:path";

import { launch } from "../e2e/lib/browser.mjs";

const [folder] = process.argv.slice(2);
const dist = join(import.meta.dirname, "dist");
const TYPES = {
  ".html": "text/html",
  ".js": "text/javascript",
  ".css": "text/css",
  ".svg": "image/svg+xml",
};

const server = createServer((request, response) => {
  const path = decodeURIComponent(new URL(request.url, "http://site").pathname);
  const file = [path, `${path}.html`, `${path}index.html`].find(
    (one) => extname(one) && existsSync(join(dist, one)),
  );
  if (!file) return response.writeHead(404).end();
  response.setHeader("content-type", TYPES[extname(file)] ?? "application/octet-stream");
  response.end(readFileSync(join(dist, file)));
}).listen(0, "127.0.0.1");
await once(server, "listening");

const browser = await launch();
const url = `http://127.0.0.1:${server.address().port}`;
const faults = [];
for (const [name, path, options] of [
  ["home", "/", {}],
  ["home-dark", "/", { colorScheme: "dark" }],
  ["start", "/start", {}],
  ["start-phone", "/start", { viewport: { width: 390, height: 844 } }],
  ["comparison", "/comparison", {}],
  ["http", "/reference/http", {}],
  ["settings", "/reference/settings", {}],
  ["events", "/reference/events", {}],
]) {
  const context = await browser.newContext({ viewport: { width: 1280, height: 900 }, ...options });
  const page = await context.newPage();
  page.on("pageerror", (error) => faults.push(`${path}: ${error}`));
  page.on("requestfailed", (request) => faults.push(`${path}: ${request.url()}`));
  await page.goto(url + path, { waitUntil: "networkidle" });
  await page.screenshot({ path: join(folder, `${name}.png`) });
  await context.close();
}
await browser.close();
server.close();
for (const fault of faults) console.error(fault);
process.exit(faults.length > 0 ? 1 : 0);
