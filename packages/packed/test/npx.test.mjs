// `npx roomful` from the packed files for this platform.

import assert from "node:assert/strict";
import { spawn } from "node:child_process";
import { once } from "node:events";
import { mkdtempSync, readFileSync, rmSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { createInterface } from "node:readline";
import { after, before, test } from "node:test";

import { binary } from "../../../e2e/lib/process.mjs";
import { ROOT, pack, run } from "./run.mjs";

const folder = mkdtempSync(join(tmpdir(), "roomful-npx-"));
const project = join(folder, "app");
after(() => rmSync(folder, { recursive: true, force: true }));

const version = JSON.parse(readFileSync(join(ROOT, "packages/roomful/package.json"), "utf8")).version;

before(() => {
  const platform = join(folder, "platform");
  run("node", [join(ROOT, "scripts/platform-package.mjs"), binary("ROOMFUL_BIN", "roomful"), platform]);
  const tarballs = [platform, join(ROOT, "packages/roomful")].map((own) => pack(own, folder));
  run("mkdir", ["-p", project]);
  writeFileSync(join(project, "package.json"), JSON.stringify({ private: true }));
  const quiet = ["--offline", "--no-audit", "--no-fund", "--loglevel=error"];
  run("npm", ["install", ...quiet, ...tarballs], { cwd: project });
});

test("runs the binary and passes on its exit code", () => {
  assert.match(
    run("npx", ["--no-install", "roomful", "--version"], { cwd: project }),
    new RegExp(`^roomful ${version}`),
  );
  assert.throws(
    () => run("npx", ["--no-install", "roomful", "no-such-command"], { cwd: project }),
    /: 2\n/,
  );
});

test("serves, and stops on SIGTERM as the server does", { timeout: 60_000 }, async () => {
  const child = spawn(
    process.execPath,
    ["node_modules/roomful/bin/roomful.js", "serve", "--dev", "--listen", "127.0.0.1:0"],
    {
      cwd: project,
      stdio: ["ignore", "ignore", "pipe"],
    },
  );
  const exit = once(child, "exit");
  for await (const line of createInterface({ input: child.stderr })) {
    const [url] = /http:\/\/127\.0\.0\.1:\d+/.exec(line) ?? [];
    if (!url) continue;
    assert.equal((await fetch(`${url}/livez`)).status, 200);
    child.kill("SIGTERM");
  }
  assert.deepEqual(await exit, [0, null]);
});

test("names the missing package", () => {
  run("rm", ["-rf", `node_modules/@roomful/bin-${process.platform}-${process.arch}`], { cwd: project });
  assert.throws(
    () => run("npx", ["--no-install", "roomful", "--version"], { cwd: project }),
    /the package @roomful\/bin-\S+ is not installed/,
  );
});
