// Builds dist/esm and dist/cjs (Jest loads CommonJS), each with its own type declarations.

import { execFileSync } from "node:child_process";
import { rmSync, writeFileSync } from "node:fs";
import { createRequire } from "node:module";
import { dirname, join } from "node:path";

import { build } from "esbuild";

const root = join(import.meta.dirname, "..");
const tsc = join(dirname(createRequire(import.meta.url).resolve("typescript/package.json")), "bin/tsc");
rmSync(join(root, "dist"), { recursive: true, force: true });
for (const [format, type] of [
  ["esm", "module"],
  ["cjs", "commonjs"],
]) {
  const folder = join(root, "dist", format);
  await build({
    entryPoints: [join(root, "src/index.ts")],
    outfile: join(folder, "index.js"),
    bundle: true,
    platform: "node",
    target: "node20",
    format,
  });
  const types = join(folder, "types");
  execFileSync(process.execPath, [tsc, "-p", join(root, "tsconfig.build.json"), "--outDir", types], {
    stdio: "inherit",
  });
  writeFileSync(join(folder, "package.json"), `${JSON.stringify({ type })}\n`);
}
