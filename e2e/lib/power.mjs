// A server on a simulated disk, whose power can be cut: unsynced writes are lost, or persist in part.

import { execFileSync } from "node:child_process";
import { existsSync, mkdirSync, readFileSync, readdirSync, rmSync, writeFileSync } from "node:fs";
import { join } from "node:path";

import { Postgres } from "./backing.mjs";
import { ROOT, Roomful } from "./process.mjs";

/** A disk writes at least this many bytes at once. */
const SECTOR = 512;

/** Compiles a library of ../power, which keeps the synced state of files. */
export function buildLibrary(name) {
  const folder = join(process.env.CARGO_TARGET_DIR ?? join(ROOT, "target"), "power");
  mkdirSync(folder, { recursive: true });
  const library = join(folder, `${name}.so`);
  const source = join(ROOT, `e2e/power/${name}.c`);
  execFileSync("cc", ["-shared", "-fPIC", "-O1", "-o", library, source, "-ldl", "-lpthread"]);
  return library;
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
    const end = Math.min(at + SECTOR, result.length);
    if (at < from.length) from.copy(result, at, at, Math.min(end, from.length));
    // The file was extended, and the sector not written.
    else if (from === durable) result.fill(0, at, end);
  }
  return result;
}

/**
 * Replaces the files of a killed program by their state on the disk. In half of the cuts nothing unsynced
 * persists; in the other half, a random part of it does.
 */
function cutPower({ data, shadow }, chance) {
  if (chance() < 0.5) {
    for (const name of files(shadow)) {
      const durable = readFileSync(join(shadow, name));
      const current = join(data, name);
      const written = existsSync(current) ? readFileSync(current) : durable;
      writeFileSync(join(shadow, name), torn(durable, written, chance));
    }
  }
  rmSync(data, { recursive: true, force: true });
  execFileSync("cp", ["-a", shadow, data]);
}

/** The environment of a program with such a library. */
function preloaded(library, { data, shadow }, ignored) {
  const power = { LD_PRELOAD: library, POWER_DATA: data, POWER_SHADOW: shadow };
  return ignored ? { ...power, POWER_IGNORE: ignored } : power;
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
    program.settings = { args: [], env: { ...env, ...preloaded(library, program, ignored) } };
    await program.launchServer("127.0.0.1:0");
    return program;
  }

  async cut(chance) {
    await this.end("SIGKILL");
    cutPower(this, chance);
  }
}

/** Small segments and few of them, so that a run has many checkpoints. */
const CHECKPOINTS = ["wal_sync_method=fdatasync", "min_wal_size=2MB", "max_wal_size=4MB"];

export class PoweredPostgres extends Postgres {
  static async start(library, ignored) {
    const program = new PoweredPostgres();
    program.shadow = join(program.folder, "shadow");
    await program.init(["--wal-segsize", "1"]);
    execFileSync("cp", ["-a", program.data, program.shadow]);
    program.power = preloaded(library, program, ignored);
    await program.launchServer();
    return program;
  }

  launchServer() {
    return super.launchServer(CHECKPOINTS, this.power);
  }

  async cut(chance) {
    await this.kill();
    cutPower(this, chance);
  }
}

/** A server and its PostgreSQL, on one power line. */
export class RoomfulOnPostgres extends Roomful {
  /** Like `PoweredRoomful.start`, for the files of PostgreSQL. `ignored` is a part of their paths. */
  static async start(library, { ignored, env = {} } = {}) {
    const program = new RoomfulOnPostgres();
    program.database = await PoweredPostgres.start(library, ignored);
    program.settings = { args: [], env: { ...env, ROOMFUL_STORE_URL: program.database.url } };
    await program.launchServer("127.0.0.1:0");
    return program;
  }

  async cut(chance) {
    await this.end("SIGKILL");
    await this.database.cut(chance);
  }

  async restart() {
    await this.database.launchServer();
    await super.restart();
  }

  async stop() {
    await super.stop();
    await this.database.end();
  }
}
