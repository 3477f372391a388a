// A server on a simulated disk, whose power can be cut: unsynced writes are lost, or persist in part.

import { execFileSync } from "node:child_process";
import { cpSync, existsSync, mkdirSync, readFileSync, readdirSync, rmSync, writeFileSync } from "node:fs";
import { dirname, join } from "node:path";

import { ROOT, Roomful } from "./process.mjs";

/** A disk writes at least this many bytes at once. */
const SECTOR = 512;

/** Compiles the library that tracks synced writes; see ../power/power_cut.c. */
export function buildLibrary() {
  const folder = join(process.env.CARGO_TARGET_DIR ?? join(ROOT, "target"), "power");
  mkdirSync(folder, { recursive: true });
  const library = join(folder, "power_cut.so");
  const source = join(ROOT, "e2e/power/power_cut.c");
  execFileSync("cc", ["-shared", "-fPIC", "-O1", "-o", library, source, "-ldl", "-lpthread"]);
  return library;
}

/** Random numbers in [0, 1) from a seed (mulberry32). */
export function random(seed) {
  let state = seed >>> 0;
  return () => {
    state = (state + 0x6d2b79f5) >>> 0;
    let mixed = Math.imul(state ^ (state >>> 15), state | 1);
    mixed ^= mixed + Math.imul(mixed ^ (mixed >>> 7), mixed | 61);
    return ((mixed ^ (mixed >>> 14)) >>> 0) / 2 ** 32;
  };
}

const files = (folder) =>
  existsSync(folder)
    ? readdirSync(folder, { recursive: true, withFileTypes: true })
        .filter((entry) => entry.isFile() && !entry.name.endsWith("-shm"))
        .map((entry) => join(entry.parentPath, entry.name).slice(folder.length + 1))
    : [];

/**
 * The content of a file after a cut. `durable` is the synced content, `written` what the program saw. Each
 * sector that differs has either content, and the file has either length.
 */
function torn(durable, written, chance) {
  const keepLength = chance() < 0.5;
  const result = Buffer.from(keepLength ? durable : written);
  for (let at = 0; at < result.length; at += SECTOR) {
    const from = chance() < 0.5 ? written : durable;
    from.copy(result, at, at, Math.min(at + SECTOR, from.length, result.length));
  }
  return result;
}

export class PoweredRoomful extends Roomful {
  /**
   * `ignored` is a suffix of files whose syncs do nothing, to simulate a server that forgets to sync them.
   */
  static async start(library, { ignored, env = {} } = {}) {
    const program = new PoweredRoomful();
    program.data = join(program.folder, "data");
    program.shadow = join(program.folder, "shadow");
    mkdirSync(program.data);
    mkdirSync(program.shadow);
    const power = { LD_PRELOAD: library, POWER_DATA: program.data, POWER_SHADOW: program.shadow };
    if (ignored) power.POWER_IGNORE = ignored;
    program.settings = { args: [], env: { ...env, ...power } };
    await program.launchServer("127.0.0.1:0");
    return program;
  }

  /**
   * Cuts the power: kills the server and replaces its files by their state on the disk. In half of the cuts
   * nothing unsynced persists; in the other half, a random part of it does.
   */
  async cut(chance) {
    await this.end("SIGKILL");
    const tears = chance() < 0.5;
    const after = join(this.folder, "after");
    rmSync(after, { recursive: true, force: true });
    mkdirSync(after);
    for (const name of files(this.shadow)) {
      const durable = readFileSync(join(this.shadow, name));
      const current = join(this.data, name);
      const written = existsSync(current) ? readFileSync(current) : durable;
      mkdirSync(dirname(join(after, name)), { recursive: true });
      writeFileSync(join(after, name), tears ? torn(durable, written, chance) : durable, { mode: 0o600 });
    }
    for (const folder of [this.data, this.shadow]) {
      rmSync(folder, { recursive: true, force: true });
      cpSync(after, folder, { recursive: true });
    }
  }
}
