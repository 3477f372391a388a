// Prints the software bill of materials of the binary as CycloneDX: its crates, and the npm packages of its
// pages.

import { execFileSync } from "node:child_process";
import { readFileSync } from "node:fs";
import { dirname, join, resolve } from "node:path";

const root = resolve(import.meta.dirname, "..");
const [host] = /(?<=^host: ).*$/m.exec(execFileSync("rustc", ["-vV"], { encoding: "utf8" }));
const metadata = JSON.parse(
  execFileSync("cargo", ["metadata", "--locked", "--format-version", "1", "--filter-platform", host], {
    cwd: root,
    encoding: "utf8",
    maxBuffer: 1 << 28,
  }),
);

const nodes = new Map(metadata.resolve.nodes.map((node) => [node.id, node]));
const crates = new Map(metadata.packages.map((one) => [one.id, one]));
const binary = metadata.packages.find(({ name }) => name === "roomful");

/** The crates that the binary links, without those of tests and build scripts. */
const linked = new Set([binary.id]);
for (const id of linked)
  for (const { pkg, dep_kinds: kinds } of nodes.get(id).deps)
    if (kinds.some(({ kind }) => kind === null)) linked.add(pkg);

const cargo = [...linked]
  .map((id) => crates.get(id))
  .filter(({ source }) => source !== null)
  .map(({ name, version, license }) => ({
    type: "library",
    name,
    version,
    purl: `pkg:cargo/${name}@${version}`,
    ...(license && { licenses: [{ expression: license.replaceAll("/", " OR ") }] }),
  }));

const { packages } = JSON.parse(readFileSync(join(root, "package-lock.json"), "utf8"));

/** The path in the lock file of the package that the one at `from` gets for `name`, as Node looks it up. */
function resolved(from, name) {
  for (let folder = from; ; folder = dirname(folder)) {
    const path = join(folder, "node_modules", name);
    if (path in packages) return packages[path].link ? packages[path].resolved : path;
    if (folder === ".") throw new Error(`${from} needs ${name}, which is not in package-lock.json`);
  }
}

/** The packages in the pages, without those that only build them. */
const bundled = new Set(["apps/web", "apps/console"]);
for (const path of bundled)
  for (const name of Object.keys({ ...packages[path].dependencies, ...packages[path].peerDependencies }))
    if (!packages[path].peerDependenciesMeta?.[name]?.optional) bundled.add(resolved(path, name));

const npm = [...bundled]
  .filter((path) => path.includes("node_modules/"))
  .map((path) => {
    const { version, license } = packages[path];
    const name = path.slice(path.lastIndexOf("node_modules/") + "node_modules/".length);
    return {
      type: "library",
      name,
      version,
      purl: `pkg:npm/${name.replace("@", "%40")}@${version}`,
      ...(license && { licenses: [{ expression: license }] }),
    };
  });

const unique = new Map([...cargo, ...npm].map((component) => [component.purl, component]));
const components = [...unique.values()].sort((a, b) => (a.purl < b.purl ? -1 : 1));
console.log(
  JSON.stringify(
    {
      bomFormat: "CycloneDX",
      specVersion: "1.6",
      version: 1,
      metadata: {
        component: {
          type: "application",
          name: "roomful",
          version: binary.version,
          purl: `pkg:generic/roomful@${binary.version}`,
        },
      },
      components,
    },
    null,
    2,
  ),
);
