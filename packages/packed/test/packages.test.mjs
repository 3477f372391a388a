// Each packed package: publint, the types for every way to import it, and a project that type-checks.

import assert from "node:assert/strict";
import { existsSync, mkdtempSync, readFileSync, readdirSync, rmSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join, relative } from "node:path";
import { after, before, test } from "node:test";

import { checkPackage, Package } from "@arethetypeswrong/core";

import { pack, run, ROOT } from "./run.mjs";

/** How an app uses each package. */
const USES = {
  client: `
    import { RoomfulClient } from "@roomful/client";
    const client = new RoomfulClient("http://127.0.0.1:3000", { token: async () => "token" });
    const room = client.room("lobby");
    export const texts: string[] = room.getSnapshot().messages.map(({ text }) => text);
    export const seq: Promise<number> = room.send({ text: "hello" }).sent.then((message) => message.seq);`,
  react: `
    import { RoomfulClient } from "@roomful/client";
    import { Chat, RoomfulProvider } from "@roomful/react";
    import "@roomful/react/styles.css";
    const client = new RoomfulClient("http://127.0.0.1:3000", { token: async () => "token" });
    export const app = <RoomfulProvider client={client}><Chat room="lobby" /></RoomfulProvider>;`,
  server: `
    import { mintToken, RoomfulApi } from "@roomful/server";
    export const token: string = mintToken("s".repeat(32), { user: "alice" });
    const api = new RoomfulApi("http://127.0.0.1:3000", { key: "key" });
    export const kind: Promise<"public" | "private"> = api.room("lobby").then((room) => room.kind);`,
  testing: `
    import { startRoomful, type TestRoomful } from "@roomful/testing";
    export const token = (roomful: TestRoomful): string => roomful.token("alice", { ttl: 60 });
    export const started: Promise<TestRoomful> = startRoomful();`,
};

/** The published packages. `roomful` and its platforms have a test of their own. */
const packages = readdirSync(join(ROOT, "packages")).filter((name) => {
  const manifest = join(ROOT, "packages", name, "package.json");
  return name !== "roomful" && existsSync(manifest) && !JSON.parse(readFileSync(manifest, "utf8")).private;
});

const folder = mkdtempSync(join(tmpdir(), "roomful-packed-"));
const tarballs = new Map();
before(() => {
  for (const name of packages) {
    const own = join(ROOT, "packages", name);
    run("npm", ["run", "--silent", "build"], { cwd: own });
    tarballs.set(name, pack(own, folder));
  }
});
after(() => rmSync(folder, { recursive: true, force: true }));

/** A packed package as the type checker's library wants it. */
function unpacked(tarball) {
  const place = mkdtempSync(join(folder, "unpacked-"));
  run("tar", ["xzf", tarball, "-C", place]);
  const own = join(place, "package");
  const { name, version } = JSON.parse(readFileSync(join(own, "package.json"), "utf8"));
  const files = readdirSync(own, { recursive: true, withFileTypes: true })
    .filter((entry) => entry.isFile())
    .map((entry) => join(entry.parentPath, entry.name));
  const contents = files.map((file) => [
    `/node_modules/${name}/${relative(own, file)}`,
    readFileSync(file, "utf8"),
  ]);
  return new Package(Object.fromEntries(contents), name, version);
}

for (const name of packages) {
  test(`${name}: publint and the types have no complaint`, async () => {
    run("publint", ["--strict", tarballs.get(name)]);
    // Packages for browsers and current Node are ES modules only.
    const { exports } = JSON.parse(readFileSync(join(ROOT, "packages", name, "package.json"), "utf8"));
    const ignored = "require" in exports["."] ? ["node10"] : ["node10", "node16-cjs"];
    const { problems = [] } = await checkPackage(unpacked(tarballs.get(name)));
    // A style sheet has no types.
    const real = problems.filter(
      ({ resolutionKind, entrypoint = "" }) =>
        !ignored.includes(resolutionKind) && !entrypoint.endsWith(".css"),
    );
    assert.deepEqual(real, []);
  });

  test(`${name}: installs into an empty project, which type-checks`, () => {
    assert.ok(name in USES, `write down in this file how an app uses ${name}`);
    const project = mkdtempSync(join(folder, `${name}-`));
    writeFileSync(join(project, "package.json"), JSON.stringify({ type: "module", private: true }));
    const quiet = ["--prefer-offline", "--no-audit", "--no-fund", "--loglevel=error"];
    // Its own peers are not published yet, so they come from their packed files.
    const manifest = JSON.parse(readFileSync(join(ROOT, "packages", name, "package.json"), "utf8"));
    const peers = Object.keys(manifest.peerDependencies ?? {}).map((peer) => peer.replace("@roomful/", ""));
    const all = [name, ...peers].map((one) => tarballs.get(one)).filter(Boolean);
    const types = ["@types/node@20", ...(peers.includes("react") ? ["@types/react@19"] : [])];
    run("npm", ["install", ...quiet, ...all, ...types], { cwd: project });
    writeFileSync(join(project, "use.tsx"), USES[name]);
    for (const [module, resolution] of [
      ["NodeNext", "NodeNext"],
      ["ESNext", "Bundler"],
    ]) {
      const options = ["--strict", "--noEmit", "--target", "ES2022", "--lib", "ES2023,DOM,ESNext.Disposable"];
      const modules = ["--module", module, "--moduleResolution", resolution];
      run("tsc", [...options, ...modules, "--types", "node", "--jsx", "react-jsx", "use.tsx"], {
        cwd: project,
      });
    }
  });
}
