// Starts an example with a Roomful server of its own, both until Ctrl-C:
//
//   node examples/start.mjs plain-html        then open the address that it prints
//
// The server is the newest build of this checkout, or the binary in ROOMFUL_BIN. PORT is the example's port,
// 4000 by default.

import { execFileSync, spawn } from "node:child_process";
import { existsSync, readdirSync, statSync } from "node:fs";
import { randomBytes } from "node:crypto";
import { join, resolve } from "node:path";

const root = resolve(import.meta.dirname, "..");
const python = [process.env.PYTHON, join(root, "e2e/.venv/bin/python")].find(
  (path) => path && existsSync(path),
);
const EXAMPLES = {
  "plain-html": [process.execPath, "app.mjs"],
  "react-chat": [process.execPath, "app.mjs"],
  "node-backend": [process.execPath, "app.mjs"],
  "next-token": [process.execPath, "serve.mjs"],
  "python-backend": [python ?? "python3", "app.py"],
};

const [name] = process.argv.slice(2);
const command = EXAMPLES[name];
if (!command) {
  console.error(`name one of the examples: ${Object.keys(EXAMPLES).join(", ")}`);
  process.exit(2);
}

if (!existsSync(join(root, "node_modules"))) {
  console.error("install the packages first: npm ci");
  process.exit(2);
}
/** The time of the last change in a folder; 0 if there is none. */
const newest = (folder) =>
  existsSync(folder)
    ? Math.max(
        0,
        ...readdirSync(folder, { recursive: true }).map((name) => statSync(join(folder, name)).mtimeMs),
      )
    : 0;
// The examples import the built packages by name, as an app does that has installed them. The React package
// builds the client too.
for (const one of name === "react-chat" ? ["server", "testing", "react"] : ["server", "testing"]) {
  const folder = join(root, "packages", one);
  if (newest(join(folder, "src")) > newest(join(folder, "dist")))
    execFileSync("npm", ["run", "--silent", "build"], { cwd: folder });
}

if (name === "python-backend")
  execFileSync(EXAMPLES[name][0], [join(root, "packages/python/scripts/generate.py")], {
    stdio: "inherit",
  });

const port = process.env.PORT ?? "4000";
const secret = `whsec_${randomBytes(32).toString("base64")}`;
const { startRoomful } = await import("@roomful/testing");
const roomful = await startRoomful({
  env: {
    ROOMFUL__WEBHOOKS: `[{
      url = "http://127.0.0.1:${port}/hooks/chat", secret = "${secret}", events = ["message.created"]
    }]`,
  },
});

const app = spawn(command[0], command.slice(1), {
  cwd: join(root, "examples", name),
  stdio: "inherit",
  env: {
    ...process.env,
    PORT: port,
    PYTHONPATH: join(root, "packages/python/src"),
    ROOMFUL_URL: roomful.url,
    ROOMFUL_API_KEY: roomful.apiKey,
    ROOMFUL_AUTH_SECRET: roomful.secret,
    ROOMFUL_HOOK_SECRET: secret,
  },
});
for (const signal of ["SIGINT", "SIGTERM"]) process.on(signal, () => app.kill(signal));
app.on("error", (error) => console.error(`failed to start ${command[0]}: ${error.message}`));
app.on("close", async (code) => {
  await roomful.stop();
  process.exit(code ?? 0);
});
