// Running commands for the tests, and where things are.

import { spawnSync } from "node:child_process";
import { join } from "node:path";

export const ROOT = join(import.meta.dirname, "../../..");

/** Packs a package into `folder` and returns the file's path. */
export function pack(cwd, folder) {
  const [{ filename }] = JSON.parse(run("npm", ["pack", "--json", "--pack-destination", folder], { cwd }));
  return join(folder, filename);
}

/** Runs a command to its end and returns its output. `npm test` puts the tools of the package in the PATH. */
export function run(command, args, options = {}) {
  const { status, error, stdout, stderr } = spawnSync(command, args, { encoding: "utf8", ...options });
  if (error || status !== 0)
    throw new Error(`${command} ${args.join(" ")}: ${error ?? status}\n${stdout}${stderr}`);
  return stdout;
}
