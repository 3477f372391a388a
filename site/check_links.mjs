// Checks the built site: every internal link leads to a page or file, and every anchor to an element on it.

import { existsSync, readdirSync, readFileSync } from "node:fs";
import { join } from "node:path";

const dist = join(import.meta.dirname, "dist");
const pages = new Map(
  readdirSync(dist, { recursive: true })
    .filter((name) => name.endsWith(".html") && name !== "404.html")
    .map((name) => [`/${name}`, readFileSync(join(dist, name), "utf8")]),
);
const ids = new Map(
  [...pages].map(([name, html]) => [
    name,
    new Set([...html.matchAll(/ id="([^"]+)"/g)].map(([, id]) => id)),
  ]),
);

/** The file of a link, with clean URLs. */
function fileOf(path) {
  const candidates = [`${path}.html`, path.endsWith("/") ? `${path}index.html` : path];
  return candidates.find((one) => existsSync(join(dist, one)) && !one.endsWith("/"));
}

const broken = [];
let checked = 0;
for (const [name, html] of pages)
  for (const [, href] of html.matchAll(/<a [^>]*?href="([^"]+)"/g)) {
    if (/^[a-z]+:/.test(href)) continue;
    const url = new URL(href.replaceAll("&amp;", "&"), `http://site${name}`);
    const file = url.pathname === name ? name : fileOf(decodeURIComponent(url.pathname));
    const anchor = decodeURIComponent(url.hash.slice(1));
    checked += 1;
    if (!file || (anchor && ids.has(file) && !ids.get(file).has(anchor))) broken.push(`${name}: ${href}`);
  }
for (const link of new Set(broken)) console.error(`broken link in ${link}`);
console.log(`${checked} links on ${pages.size} pages checked`);
process.exit(broken.length > 0 ? 1 : 0);
