// Runs all tests of the project, one runner after the other, and ends with one line: `N passed, N failed`.
// A runner that exits with an error without a failed test, or that ran no test, counts as one failure.
//
//   node scripts/test.mjs             all
//   node scripts/test.mjs web rust    only these runners

import { spawn } from "node:child_process";
import { existsSync, readFileSync } from "node:fs";
import { join, resolve } from "node:path";

const root = resolve(import.meta.dirname, "..");
const target = resolve(root, process.env.CARGO_TARGET_DIR ?? "target");
const python = join(root, "e2e/.venv/bin/python");
const browser = join(root, "target/setup/chromium");

const env = {
  ...process.env,
  // The tests use defaults, not the settings of the caller.
  ...Object.fromEntries(
    Object.keys(process.env)
      .filter((name) => name.startsWith("ROOMFUL_"))
      .map((name) => [name, undefined]),
  ),
  ROOMFUL_BIN: join(target, "debug/roomful"),
  CONFORMANCE_BIN: join(target, "debug/examples/conformance"),
  ...(existsSync(browser) ? { CHROMIUM: readFileSync(browser, "utf8").trim() } : {}),
};

/** The patterns of each kind of summary: every match of `passed` and `failed` captures a number. */
const VITEST = {
  passed: /^\s*Tests .*?(\d+) passed/gm,
  failed: /^\s*Tests .*?(\d+) failed/gm,
};
const NODE_TEST = {
  passed: /^. pass (\d+)$/gm,
  failed: /^. (?:fail|cancelled) (\d+)$/gm,
};
const PYTEST = {
  passed: /(\d+) passed\b.* in [\d.]+s/gm,
  failed: /(\d+) (?:failed|errors?)\b.* in [\d.]+s/gm,
};

/** Each runner with the patterns of its summary. */
const RUNNERS = [
  {
    name: "rust",
    folder: ".",
    command: ["cargo", "test", "--workspace", "--no-fail-fast"],
    passed: /^test result: .* (\d+) passed;/gm,
    failed: /^test result: .* (\d+) failed;/gm,
  },
  ...["web", "console"].map((name) => ({
    name,
    folder: `apps/${name}`,
    command: ["npm", "test", "--silent"],
    ...VITEST,
  })),
  ...["client", "react", "server", "testing"].map((name) => ({
    name,
    folder: `packages/${name}`,
    command: ["npm", "test", "--silent"],
    ...VITEST,
  })),
  {
    name: "e2e",
    folder: "e2e",
    command: ["node", "run.mjs", ".test."],
    ...NODE_TEST,
  },
  {
    name: "packed",
    folder: "packages/packed",
    command: ["npm", "test", "--silent"],
    ...NODE_TEST,
  },
  {
    name: "python-package",
    folder: "packages/python",
    command: [python, "-m", "pytest", "-q"],
    ...PYTEST,
  },
  {
    name: "python",
    folder: "e2e",
    command: ["node", "run.mjs", "python"],
    ...PYTEST,
  },
];

/** Runs one runner, shows its output, and counts its tests. */
async function run({ name, folder, command: [program, ...args], passed, failed }) {
  console.log(`\n== ${name}: ${program} ${args.join(" ")}`);
  const child = spawn(program, args, { cwd: join(root, folder), env, stdio: ["ignore", "pipe", "pipe"] });
  let output = "";
  for (const [from, to] of [
    [child.stdout, process.stdout],
    [child.stderr, process.stderr],
  ]) {
    from.setEncoding("utf8").on("data", (text) => {
      output += text;
      to.write(text);
    });
  }
  const code = await new Promise((done) => {
    child.on("error", (error) => done(error.message));
    child.on("close", done);
  });
  const plain = output.replace(/\x1b\[[0-9;]*m/g, "");
  const sum = (pattern) =>
    [...plain.matchAll(pattern)].reduce((total, [, count]) => total + Number(count), 0);
  const counts = { name, passed: sum(passed), failed: sum(failed) };
  const silent = counts.passed + counts.failed === 0;
  if (counts.failed === 0 && (code !== 0 || silent)) {
    console.error(`${name}: ${code !== 0 ? `ended with ${code}` : "ran no test"}`);
    counts.failed = 1;
  }
  return counts;
}

const wanted = process.argv.slice(2);
const unknown = wanted.filter((name) => !RUNNERS.some((runner) => runner.name === name));
if (unknown.length > 0) {
  console.error(`no runner ${unknown.join(", ")}; there are ${RUNNERS.map(({ name }) => name).join(", ")}`);
  process.exit(2);
}
const results = [];
for (const runner of RUNNERS.filter(({ name }) => wanted.length === 0 || wanted.includes(name)))
  results.push(await run(runner));

console.log();
for (const { name, passed, failed } of results)
  console.log(`${name.padEnd(14)} ${passed} passed, ${failed} failed`);
const total = (key) => results.reduce((sum, result) => sum + result[key], 0);
console.log(`${total("passed")} passed, ${total("failed")} failed`);
process.exit(total("failed") === 0 ? 0 : 1);
