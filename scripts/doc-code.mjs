// Writes the code of the documentation that runs in tests to the files that its markers name.
//
// A marker stands before a fenced block:  <!-- test: packages/testing/test/docs/crash.test.ts -->
//
//   node scripts/doc-code.mjs FOLDER    only files below this folder

import { mkdirSync, readFileSync, readdirSync, rmSync, writeFileSync } from "node:fs";
import { dirname, join, resolve } from "node:path";

const root = resolve(import.meta.dirname, "..");
const BLOCK = /<!-- test: (\S+) -->\n+```\w*\n([^]*?)\n```/g;

/** Markdown files of a folder, without those of decisions. */
const pages = ["README.md", ...readdirSync(join(root, "docs")).map((name) => `docs/${name}`)].filter(
  (name) => name.endsWith(".md"),
);

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
  writeFileSync(join(root, path), `// Written by scripts/doc-code.mjs from ${page}.\n\n${code}\n`);
}
