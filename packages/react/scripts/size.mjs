// Checks the size of the package with its dependencies, beside React and @roomful/client: minified, gzipped.

import { gzipSync } from "node:zlib";

import { build } from "esbuild";

const LIMITS = { js: 46 * 1024, css: 6 * 1024 };

async function size(entry, external = []) {
  const { outputFiles } = await build({
    entryPoints: [entry],
    bundle: true,
    format: "esm",
    jsx: "automatic",
    minify: true,
    write: false,
    logLevel: "error",
    external,
  });
  return gzipSync(outputFiles[0].contents, { level: 9 }).length;
}

const sizes = {
  js: await size("src/index.ts", ["react", "react-dom", "@roomful/client"]),
  css: await size("src/styles/index.css"),
};
for (const [kind, bytes] of Object.entries(sizes))
  console.log(`${kind}: ${bytes} bytes gzipped, ${LIMITS[kind]} allowed`);
process.exit(Object.keys(sizes).some((kind) => sizes[kind] > LIMITS[kind]) ? 1 : 0);
