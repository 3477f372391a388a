// The Debian package, installed over a throwaway copy of this system.

import assert from "node:assert/strict";
import { spawnSync } from "node:child_process";
import { mkdtempSync, readdirSync, rmSync } from "node:fs";
import { tmpdir } from "node:os";
import { basename, dirname, join } from "node:path";
import { test } from "node:test";

import { binary } from "../../../e2e/lib/process.mjs";
import { ROOT, run } from "./run.mjs";

/** Why this machine cannot run the test, if it cannot. */
function missing() {
  const installed = (program, ...args) => spawnSync(program, args).status === 0;
  if (!installed("cargo", "deb", "--version")) return "cargo-deb is not installed";
  if (!installed("dpkg", "--version")) return "this system has no dpkg";
  if (process.getuid() !== 0) return "it takes root";
  return installed("unshare", "--mount", "true") ? false : "mount namespaces are not available";
}

test("installs, starts, keeps its secrets on upgrade, and purges all", { skip: missing() }, () => {
  const folder = mkdtempSync(join(tmpdir(), "roomful-debian-"));
  try {
    const profile = basename(dirname(binary("ROOMFUL_BIN", "roomful"))).replace("debug", "dev");
    run(join(ROOT, "scripts/debian.sh"), [profile, folder]);
    const [name] = readdirSync(folder);
    const file = join(folder, name);
    const listed = run("dpkg-deb", ["--contents", file]);
    const paths = ["usr/bin/roomful", "usr/lib/systemd/system/roomful.service", "etc/roomful/roomful.env"];
    for (const path of paths) assert.match(listed, new RegExp(` \\./${path}$`, "m"));
    const script = join(import.meta.dirname, "debian.sh");
    const steps = run("unshare", ["--mount", "--propagation", "private", "sh", script, file]);
    assert.match(steps, /== done\n$/);
  } finally {
    rmSync(folder, { recursive: true, force: true });
  }
});
