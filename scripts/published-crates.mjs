#!/usr/bin/env node
// Checks the crates that others can use: a plain roomful-socket has no Redis, TLS or SQL among its
// dependencies, and the crates can be packaged.

import { spawnSync } from "node:child_process";
import { join } from "node:path";

const root = join(import.meta.dirname, "..");
const cargo = process.env.CARGO ?? "cargo";

/** Runs cargo and returns its output; ends the script if cargo fails. */
function run(...args) {
    const { status, stdout, stderr, error } = spawnSync(cargo, args, { cwd: root, encoding: "utf8" });
    if (error || status !== 0) {
        console.error(`${cargo} ${args.join(" ")} failed: ${error ?? ""}\n${stderr ?? ""}`);
        process.exit(1);
    }
    return stdout;
}

/** Crates that a plain server must not compile. */
const UNWANTED = /^(redis|rustls|aws-lc|ring|openssl|rusqlite|libsqlite3|tokio-postgres|roomful-bus)/;

const tree = run("tree", "-p", "roomful-socket", "-e", "normal", "--prefix", "none", "--format", "{p}");
const unwanted = [...new Set(tree.split("\n").filter((line) => UNWANTED.test(line)))];
if (unwanted.length > 0) {
    console.error(`roomful-socket without features depends on ${unwanted.join(", ")}`);
    process.exit(1);
}
const packages = ["supervisor", "wire", "bus", "socket"].flatMap((name) => ["-p", `roomful-${name}`]);
run("package", "--no-verify", "--allow-dirty", "--offline", "--quiet", ...packages);
console.log("published crates: plain roomful-socket is lean, and all can be packaged");
