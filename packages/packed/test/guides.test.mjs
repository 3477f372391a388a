// The code in the guides and READMEs type-checks against the packages: TypeScript in strict mode, JavaScript
// by the types that the compiler infers.

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
import { after, before, test } from "node:test";

import { ROOT, run } from "./run.mjs";

/** What the reader's own code has: names that the guides use and do not declare. */
const READERS_CODE = `
import type { RoomfulClient as Client } from "@roomful/client";
import type { RoomfulApi as Api } from "@roomful/server";
import type { io as connect, Socket } from "socket.io-client";
declare global {
  var RoomfulClient: typeof Client;
  var io: typeof connect;
  interface ImportMeta { env: any }
  const url: string;
  const token: () => Promise<string>;
  const fetchToken: () => Promise<string>;
  const getToken: () => Promise<string>;
  const app: {
    get(path: string, handler: (request: any, response: any) => void): void;
    post(path: string, parser: unknown, handler: (request: any, response: any) => void): void;
  };
  const express: any;
  const bell: HTMLElement;
  const client: Client;
  const api: Api;
  const socket: Socket;
  const known: { room: string; epoch: string; since: number }[];
  function render(messages: unknown): void;
  function show(...what: unknown[]): void;
  function leave(room: string, reason: string): void;
  function toast(text: string): void;
  function archive(message: { seq: number }): void;
  function save(row: object): Promise<void>;
  function beforeAll(hook: () => unknown, timeout?: number): void;
  function afterAll(hook: () => unknown): void;
}`;

const PACKAGES = ["client", "react", "server", "testing"];
const PAGES = [
  "README.md",
  ...readdirSync(join(ROOT, "docs"))
    .filter((name) => name.endsWith(".md"))
    .map((name) => `docs/${name}`),
  ...PACKAGES.map((name) => `packages/${name}/README.md`),
];

/** Blocks for programs that the workspace does not have. */
const needs = (code) => !/from "@playwright\/test"/.test(code);

/** All blocks of code in a language, each with the name of a file for it. */
function blocks(language) {
  const fence = new RegExp(`\`\`\`${language}\\n([^]*?)\\n\`\`\``, "g");
  return PAGES.flatMap((page) =>
    [...readFileSync(join(ROOT, page), "utf8").matchAll(fence)]
      .map(([, code], n) => ({ name: `${page.replace(/\W+/g, "_")}_${n}.${language}`, code }))
      .filter(({ code }) => needs(code)),
  );
}

const COMMON = {
  target: "ES2022",
  module: "ESNext",
  moduleResolution: "Bundler",
  lib: ["ES2023", "DOM", "ESNext.Disposable"],
  types: ["node"],
  jsx: "react-jsx",
  skipLibCheck: true,
  noEmit: true,
};

let folder;
before(() => {
  folder = mkdtempSync(join(tmpdir(), "roomful-guides-"));
  symlinkSync(join(ROOT, "node_modules"), join(folder, "node_modules"));
  for (const name of PACKAGES)
    run("npm", ["run", "--silent", "build"], { cwd: join(ROOT, "packages", name) });
});
after(() => rmSync(folder, { recursive: true, force: true }));

for (const [languages, options] of [
  [["ts", "tsx"], { strict: true }],
  [["js", "jsx"], { allowJs: true, checkJs: true }],
]) {
  const all = languages.flatMap(blocks);
  test(`${all.length} blocks of ${languages.join(" and ")} type-check`, () => {
    const place = join(folder, languages[0]);
    mkdirSync(place);
    writeFileSync(join(place, "package.json"), JSON.stringify({ type: "module" }));
    writeFileSync(join(place, "readers_code.ts"), READERS_CODE);
    writeFileSync(join(place, "styles.d.ts"), 'declare module "*.css";');
    for (const { name, code } of all) writeFileSync(join(place, name), `${code}\nexport {};\n`);
    const settings = { compilerOptions: { ...COMMON, ...options }, include: ["*"] };
    writeFileSync(join(place, "tsconfig.json"), JSON.stringify(settings));
    run("tsc", ["-p", place]);
  });
}
