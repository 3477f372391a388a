// Counts the instructions that encoding and decoding take, and compares them with scripts/instructions.json.
// Ends with 1 if one takes more than it may, or so much less that the stored count is no use any more.
//
//   node scripts/instructions.mjs            compare
//   node scripts/instructions.mjs --store    store what was counted instead
//
// Counts do not depend on how busy a machine is. They do depend on the compiler: hence the tolerance, and the need to
// store them anew with a new one. Each case runs twice, and what the longer run took more is divided by how much more
// it did, so that start and end of the process do not count.

import { execFileSync, spawnSync } from "node:child_process";
import { readFileSync, writeFileSync } from "node:fs";
import { join, resolve } from "node:path";

const TOLERANCE = 0.05;
const TIMES = 1000;

const root = resolve(import.meta.dirname, "..");
const program = join(
  resolve(root, process.env.CARGO_TARGET_DIR ?? "target"),
  "release/examples/instructions",
);
const file = join(import.meta.dirname, "instructions.json");

/** All instructions of one run of the program. */
function run(name, times) {
  const valgrind = ["--tool=callgrind", "--callgrind-out-file=/dev/null", program, name, String(times)];
  const { status, stderr, error } = spawnSync("valgrind", valgrind, { encoding: "utf8" });
  const collected = /Collected : (\d+)/.exec(stderr ?? "");
  if (status !== 0 || !collected) {
    console.error(
      `${name}: ${error?.code === "ENOENT" ? "valgrind is not installed" : (error?.message ?? stderr)}`,
    );
    process.exit(2);
  }
  return Number(collected[1]);
}

const names = execFileSync(program, { encoding: "utf8" }).trim().split("\n");
const counts = Object.fromEntries(
  names.map((name) => [name, Math.round((run(name, 2 * TIMES) - run(name, TIMES)) / TIMES)]),
);

if (process.argv.includes("--store")) {
  writeFileSync(file, `${JSON.stringify(counts, null, 2)}\n`);
}
const stored = JSON.parse(readFileSync(file, "utf8"));
let off = 0;
for (const name of new Set([...Object.keys(stored), ...names])) {
  const [was, is] = [stored[name], counts[name]];
  const change = is / was - 1;
  const within = Math.abs(change) <= TOLERANCE;
  if (!within) off += 1;
  const told = Number.isNaN(change) ? "only in one of the two" : `${(100 * change).toFixed(1)} %`;
  console.log(
    `${within ? " " : "!"} ${name.padEnd(22)} ${String(is).padStart(7)}  stored ${String(was).padStart(7)}  ${told}`,
  );
}
if (off > 0) {
  console.error(
    `${off} of them are off by more than ${100 * TOLERANCE} %; store them anew if that is meant (--store)`,
  );
}
process.exit(off > 0 ? 1 : 0);
