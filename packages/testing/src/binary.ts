// The server's binary: named by the caller, by ROOMFUL_BIN, installed, or built in a checkout.

import { accessSync, constants, statSync } from "node:fs";
import { createRequire } from "node:module";
import { delimiter, dirname, join } from "node:path";

const NAME = process.platform === "win32" ? "roomful.exe" : "roomful";

/**
 * The path of the server's binary: `given`, else the variable `ROOMFUL_BIN`, else the newest build in a
 * Roomful checkout around the working directory, else the one of the npm package `roomful`, else `roomful` in
 * `PATH`.
 *
 * @throws Error if there is none, or the given path is no executable file.
 */
export function findBinary(given: string | undefined = process.env["ROOMFUL_BIN"]): string {
  if (given) {
    if (!isExecutable(given)) throw new Error(`${given} is not an executable file; build Roomful first`);
    return given;
  }
  const found = newestBuild(process.cwd()) ?? installed() ?? inPath();
  if (!found)
    throw new Error("no roomful binary found; install the npm package roomful, or set ROOMFUL_BIN");
  return found;
}

function newestBuild(folder: string): string | undefined {
  const target = process.env["CARGO_TARGET_DIR"] || join(folder, "target");
  const builds = ["debug", "release"].map((profile) => join(target, profile, NAME)).filter(isExecutable);
  const [newest] = builds.sort((a, b) => statSync(b).mtimeMs - statSync(a).mtimeMs);
  const parent = dirname(folder);
  return newest ?? (parent === folder ? undefined : newestBuild(parent));
}

/** The binary that comes with the npm package for this platform. */
function installed(): string | undefined {
  try {
    const path = `@roomful/bin-${process.platform}-${process.arch}/${NAME}`;
    return createRequire(join(process.cwd(), "package.json")).resolve(path);
  } catch {
    return undefined;
  }
}

function inPath(): string | undefined {
  const folders = (process.env["PATH"] ?? "").split(delimiter);
  return folders.map((folder) => join(folder, NAME)).find(isExecutable);
}

function isExecutable(path: string): boolean {
  try {
    accessSync(path, constants.X_OK);
    return statSync(path).isFile();
  } catch {
    return false;
  }
}
