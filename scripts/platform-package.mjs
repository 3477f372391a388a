// Makes the npm package that holds the server's binary for this platform.
//
//   node scripts/platform-package.mjs BINARY FOLDER

import { chmodSync, copyFileSync, mkdirSync, readFileSync, writeFileSync } from "node:fs";
import { join, resolve } from "node:path";

const [binary, folder] = process.argv.slice(2);
const root = resolve(import.meta.dirname, "..");
const { version, license } = JSON.parse(readFileSync(join(root, "packages/roomful/package.json"), "utf8"));
const { platform, arch } = process;

mkdirSync(folder, { recursive: true });
copyFileSync(binary, join(folder, "roomful"));
chmodSync(join(folder, "roomful"), 0o755);
const manifest = {
  name: `@roomful/bin-${platform}-${arch}`,
  version,
  description: `The Roomful server for ${platform} on ${arch}.`,
  license,
  os: [platform],
  cpu: [arch],
  ...(platform === "linux" && { libc: ["glibc"] }),
  files: ["roomful"],
};
writeFileSync(join(folder, "package.json"), `${JSON.stringify(manifest, null, 2)}\n`);
writeFileSync(
  join(folder, "README.md"),
  "The Roomful server's binary for one platform. Install the package `roomful` instead.\n",
);
