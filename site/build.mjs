// Prepares the site's pages in site/pages: copies docs/, generates the references from their sources, and
// writes llms.txt. VitePress then checks all links.

import { mkdirSync, readdirSync, readFileSync, rmSync, writeFileSync } from "node:fs";
import { dirname, join, posix, resolve } from "node:path";

import { apiReference } from "./api_reference.mjs";
import { sidebar } from "./sidebar.mjs";
import { httpReference } from "./http_reference.mjs";
import { eventReference } from "./event_reference.mjs";
import { settingsReference } from "./settings_reference.mjs";

const root = resolve(import.meta.dirname, "..");
const pages = join(import.meta.dirname, "pages");
const read = (path) => readFileSync(join(root, path), "utf8");

/** The site's pages by their address, each with the path of its source in the repository. */
const sources = new Map(
  readdirSync(join(root, "docs"))
    .filter((name) => name.endsWith(".md"))
    .map((name) => [name, `docs/${name}`]),
);
sources.set("architecture.md", "ARCHITECTURE.md");
sources.set("changelog.md", "CHANGELOG.md");
for (const name of readdirSync(join(root, "docs/decisions")))
  sources.set(`decisions/${name}`, `docs/decisions/${name}`);
for (const name of readdirSync(join(root, "packages"))) {
  const path = `packages/${name}/README.md`;
  try {
    read(path);
    sources.set(path.replace("/README", ""), path);
  } catch (error) {
    if (error.code !== "ENOENT") throw error;
  }
}
const addresses = new Map([...sources].map(([address, source]) => [source, address]));
// README introduces the repository; the site has its own start.
addresses.set("README.md", "index.md");

/** The text with links between files of the repository turned into links of the site. */
function relinked(text, source, address) {
  return text.replace(/(?<!!)\[([^\][]*)\]\(([^)\s]+)\)/g, (whole, label, link) => {
    if (/^(?:[a-z]+:|#)/.test(link)) return whole;
    const [path, anchor] = link.split("#");
    // The site has a page of its own for them.
    if (anchor === "every-setting") return `[${label}](./reference/settings.md)`;
    const file = posix.join(posix.dirname(source), path);
    const target = addresses.get(file);
    // Files that are no pages, such as deployment recipes, keep their name.
    if (!target) return `${label} (\`${file}\`)`;
    const to = posix.relative(posix.dirname(address), target) || posix.basename(target);
    return `[${label}](./${to}${anchor ? `#${anchor}` : ""})`;
  });
}

/** Vue reads `{{ }}` and tags in the text of a page; code stays as it is. */
const plain = (text) =>
  text
    .split(/(^```[^]*?^```$|`[^`\n]*`)/m)
    .map((part, n) => (n % 2 ? part : part.replace(/\{\{/g, "&lbrace;&lbrace;")))
    .join("")
    .replace(/<!-- test: \S+ -->\n/g, "");

function write(address, text) {
  const path = join(pages, address);
  mkdirSync(dirname(path), { recursive: true });
  writeFileSync(path, text);
}

rmSync(pages, { recursive: true, force: true });
for (const [address, source] of sources) {
  // The settings stand in a page of their own, generated from their source.
  const text =
    address === "configuration.md" ? read(source).replace(/^## Every setting[^]*/m, "") : read(source);
  write(address, plain(relinked(text, source, address)));
}
write("reference/http.md", httpReference(JSON.parse(read("docs/openapi.json"))));
write("reference/settings.md", settingsReference(read("crates/server/src/config/default.toml")));
write("reference/events.md", eventReference(JSON.parse(read("docs/asyncapi.json"))));
write("index.md", read("site/index.md"));
await apiReference(join(pages, "api"));

/** The first paragraph after the title, on one line. */
function summary(text) {
  const [, paragraph = ""] = /^# .*\n+((?:(?![#|`]).+\n)+)/m.exec(text) ?? [];
  return paragraph
    .replace(/\[([^\]]*)\]\([^)]*\)/g, "$1")
    .replace(/\s+/g, " ")
    .trim();
}

const llms = ["# Roomful", "", "> " + summary(read("README.md")), ""];
const full = [];
for (const { text: section, items } of sidebar(pages)) {
  llms.push(`## ${section}`, "");
  for (const { text, link } of items) {
    const page = readFileSync(join(pages, `${link}.md`), "utf8");
    llms.push(`- [${text}](${link}.md): ${summary(page)}`);
    full.push(`<!-- ${link} -->\n\n${page}`);
    // The page as text, for the links of llms.txt.
    write(`public${link}.md`, page);
  }
  llms.push("");
}
write("public/llms.txt", llms.join("\n"));
write("public/llms-full.txt", full.join("\n\n"));
