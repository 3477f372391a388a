// The built package in Jest, which loads CommonJS and runs tests in a sandbox of its own.

import { spawnSync } from "node:child_process";
import { createRequire } from "node:module";
import { join } from "node:path";

import { expect, test } from "vitest";

import { findBinary } from "../src/index.ts";

test("Jest runs a test with a server", () => {
  const jest = createRequire(import.meta.url).resolve("jest/bin/jest");
  const folder = join(import.meta.dirname, "jest");
  const { status, stderr } = spawnSync(process.execPath, [jest, "--rootDir", folder, "--ci"], {
    encoding: "utf8",
    cwd: folder,
    env: { ...process.env, ROOMFUL_BIN: findBinary() },
  });
  expect(stderr).toMatch(/Tests: +2 passed, 2 total/);
  expect(status).toBe(0);
});
