// Writes the code of the documentation that runs in tests to the files that its markers name.
//
// A marker stands before a fenced block:  <!-- test: packages/testing/test/docs/crash.test.ts -->
//
//   node scripts/doc-code.mjs FOLDER    only files below this folder

import { existsSync, mkdirSync, readFileSync, readdirSync, rmSync, writeFileSync } from "node:fs";
import { dirname, join, resolve } from "node:path";

const root = resolve(import.meta.dirname, "..");
const BLOCK = /<!-- test: (\S+) -->\n+```\w*\n([^]*?)\n```/g;

/** The pages for readers: the READMEs, and the files of docs/, without its decisions. */
const pages = [
  "README.md",
  ...readdirSync(join(root, "docs"))
    .filter((name) => name.endsWith(".md"))
    .map((name) => `docs/${name}`),
  ...readdirSync(join(root, "packages"))
    .map((name) => `packages/${name}/README.md`)
    .filter((path) => existsSync(join(root, path))),
];

const [below = ""] = process.argv.slice(2);
const blocks = pages.flatMap((page) =>
  [...readFileSync(join(root, page), "utf8").matchAll(BLOCK)]
    .map(([, path, code]) => ({ page, path, code }))
    .filter(({ path }) => path.startsWith(below)),
);
if (blocks.length === 0) throw new Error(`no page has code to test for ${below || "any package"}`);
for (const folder of new Set(blocks.map(({ path }) => dirname(join(root, path)))))
  rmSync(folder, { recursive: true, force: true });
for (const { page, path, code } of blocks) {
  mkdirSync(dirname(join(root, path)), { recursive: true });
  const comment = path.endsWith(".py") ? "#" : "//";
  writeFileSync(join(root, path), `${comment} Written by scripts/doc-code.mjs from ${page}.\n\n${code}\n`);
}
