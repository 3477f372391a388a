// Counts the instructions that encoding and decoding take, and compares them with scripts/instructions.json.
// Exits with 1 if a count is above its tolerance, or so far below that the stored count is outdated.
//
//   node scripts/instructions.mjs            compare
//   node scripts/instructions.mjs --store    store the new counts instead
//
// Counts do not depend on the machine's load. They depend on the compiler: hence the tolerance, and the
// need to store new counts after an upgrade. Each case runs with two repetition counts. The difference in
// instructions divided by the difference in repetitions excludes the process's start and end.

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

/** The instructions of one run of the program. */
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
  const [now, before] = [is, was].map((count) => String(count).padStart(7));
  console.log(`${within ? " " : "!"} ${name.padEnd(22)} ${now}  stored ${before}  ${told}`);
}
if (off > 0) {
  console.error(`${off} of them are off by more than ${100 * TOLERANCE} %; --store accepts the new counts`);
}
process.exit(off > 0 ? 1 : 0);
