// Runs the tests of this folder: JavaScript with node:test, Python with pytest.
//
//   npm test                    all of them
//   npm test -- engine chat     tests whose file name contains one of the words
//   npm test -- python          the Python tests
//
// The programs under test must be built: cargo build -p roomful -p roomful-testkit && cargo build
// -p roomful-socket --example conformance.

import { spawnSync } from "node:child_process";
import { readdirSync } from "node:fs";
import { dirname, join } from "node:path";
import { fileURLToPath } from "node:url";

const here = dirname(fileURLToPath(import.meta.url));
const words = process.argv.slice(2);
const wanted = (name) => words.length === 0 || words.some((word) => name.includes(word));

function run(command, args) {
  const { status, error } = spawnSync(command, args, { cwd: here, stdio: "inherit" });
  if (error) console.error(`${command} could not be run: ${error.message}`);
  return status === 0;
}

let good = true;
const files = readdirSync(here).filter((name) => name.endsWith(".test.mjs") && wanted(name));
if (files.length > 0) {
  // One file at a time: the tests are sensitive to load, and the machine may be small. A file that exceeds
  // its time limit fails, so that the report names a test that hangs and the other files still run.
  const options = ["--test-concurrency=1", "--test-timeout=900000", "--test-reporter=spec"];
  good = run(process.execPath, ["--test", ...options, ...files]) && good;
}
if (wanted("python")) {
  // The environment of `make setup`, or else the pytest in PATH.
  const own = join(here, ".venv", "bin", "python");
  const python = run(own, ["-c", ""]) ? own : "python3";
  good = run(python, ["-m", "pytest", "-q", "python"]) && good;
}
process.exit(good ? 0 : 1);
