// The TypeScript in the guides and READMEs type-checks against the packages.

import {
  mkdirSync,
  mkdtempSync,
  readdirSync,
  readFileSync,
  rmSync,
  symlinkSync,
  writeFileSync,
} from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { after, test } from "node:test";

import { ROOT, run, TOOLS } from "./run.mjs";

/** What the reader's own code has: names that the guides use and do not declare. */
const READERS_CODE = `
import type { RoomfulClient as Client } from "@roomful/client";
import type { RoomfulApi as Api } from "@roomful/server";
declare global {
  var RoomfulClient: typeof Client;
  interface ImportMeta { env: any }
  const url: string;
  const token: () => Promise<string>;
  const app: {
    get(path: string, handler: (request: any, response: any) => void): void;
    post(path: string, parser: unknown, handler: (request: any, response: any) => void): void;
  };
  const express: any;
  const bell: HTMLElement;
  const client: Client;
  const api: Api;
  function render(messages: unknown): void;
  function toast(text: string): void;
  function archive(message: { seq: number }): void;
  function save(row: object): Promise<void>;
  const process: { env: Record<string, string> };
}`;

const folder = mkdtempSync(join(tmpdir(), "roomful-guides-"));
after(() => rmSync(folder, { recursive: true, force: true }));

const names = ["client", "server", "testing"];
const pages = [
  ...readdirSync(join(ROOT, "docs"))
    .filter((name) => name.endsWith(".md"))
    .map((name) => `docs/${name}`),
  ...names.map((name) => `packages/${name}/README.md`),
];
/** Blocks that need packages of other projects, which these tests do not install. */
const needs = (code) => !/from "(?:vitest|@playwright\/test)"/.test(code);

const blocks = pages.flatMap((page) =>
  [...readFileSync(join(ROOT, page), "utf8").matchAll(/```ts\n([^]*?)\n```/g)]
    .map(([, code], n) => ({ name: `${page.replace(/\W+/g, "_")}_${n}.ts`, code }))
    .filter(({ code }) => needs(code)),
);

test(`${blocks.length} blocks of code type-check`, () => {
  writeFileSync(join(folder, "package.json"), JSON.stringify({ type: "module" }));
  writeFileSync(join(folder, "readers_code.ts"), READERS_CODE);
  for (const { name, code } of blocks) writeFileSync(join(folder, name), `${code}\nexport {};\n`);
  for (const name of names) run("npm", ["run", "--silent", "build"], { cwd: join(ROOT, "packages", name) });
  mkdirSync(join(folder, "node_modules/@roomful"), { recursive: true });
  for (const name of names)
    symlinkSync(join(ROOT, "packages", name), join(folder, "node_modules/@roomful", name));
  const options = {
    compilerOptions: {
      target: "ES2022",
      module: "NodeNext",
      lib: ["ES2023", "DOM", "ESNext.Disposable"],
      types: [],
      strict: true,
      skipLibCheck: true,
      noEmit: true,
    },
    include: ["*.ts"],
  };
  writeFileSync(join(folder, "tsconfig.json"), JSON.stringify(options));
  run(join(TOOLS, "tsc"), ["-p", folder]);
});
