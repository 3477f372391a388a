#!/usr/bin/env node
// Runs the server's binary, which comes with the package of this platform.

import { spawn } from "node:child_process";
import { createRequire } from "node:module";

const name = `@roomful/bin-${process.platform}-${process.arch}`;
let binary;
try {
  binary = createRequire(import.meta.url).resolve(`${name}/roomful`);
} catch {
  console.error(
    `roomful: the package ${name} is not installed. Install again without --omit=optional; if this ` +
      "platform has no such package, build Roomful from source.",
  );
  process.exit(1);
}

const child = spawn(binary, process.argv.slice(2), { stdio: "inherit" });
for (const signal of ["SIGINT", "SIGTERM", "SIGHUP"]) process.on(signal, () => child.kill(signal));
child.on("error", (error) => {
  console.error(`roomful: failed to start ${binary}: ${error.message}`);
  process.exit(1);
});
child.on("exit", (code, signal) => {
  if (signal === null) process.exit(code);
  // Ends the same way as the server.
  process.removeAllListeners(signal);
  process.kill(process.pid, signal);
});
