// Checks the size of the package beside socket.io-client: minified and gzipped, without idb, which loads on
// demand.

import { gzipSync } from "node:zlib";

import { build } from "esbuild";

const LIMIT = 15 * 1024;

const { outputFiles } = await build({
  entryPoints: ["src/index.ts"],
  bundle: true,
  format: "esm",
  minify: true,
  write: false,
  external: ["socket.io-client", "idb"],
});
const size = gzipSync(outputFiles[0].contents, { level: 9 }).length;
console.log(`${size} bytes gzipped, ${LIMIT} allowed`);
process.exit(size > LIMIT ? 1 : 0);
