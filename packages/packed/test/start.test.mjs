// The five-minute start, as a new user follows it: in an empty folder, with the packed packages.

import assert from "node:assert/strict";
import { spawn } from "node:child_process";
import { once } from "node:events";
import { mkdirSync, mkdtempSync, readFileSync, rmSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { createInterface } from "node:readline";
import { after, before, test } from "node:test";

import { launch } from "../../../e2e/lib/browser.mjs";
import { binary } from "../../../e2e/lib/process.mjs";
import { ROOT, pack, run } from "./run.mjs";

const page = readFileSync(join(ROOT, "docs/start.md"), "utf8");
const folder = mkdtempSync(join(tmpdir(), "roomful-start-"));
const project = join(folder, "app");
const running = new Set();
let browser;

async function stop(child) {
  running.delete(child);
  child.kill("SIGTERM");
  await once(child, "exit");
}

after(async () => {
  await browser?.close();
  await Promise.all([...running].map(stop));
  rmSync(folder, { recursive: true, force: true });
});

/** The code of a file that the page shows: the first block after the file's name. */
function file(name) {
  const [, behind] = page.split(`\`${name}\``);
  const [, code] = /```\w+\n([^]*?)\n```/.exec(behind ?? "") ?? [];
  assert.ok(code, `docs/start.md has ${name}`);
  return code;
}

/** Starts a program of the project and resolves to its process and the address that it prints. */
async function started(program, ...args) {
  const command = join(project, "node_modules/.bin", program);
  const child = spawn(command, args, { cwd: project, stdio: ["ignore", "pipe", "pipe"] });
  running.add(child);
  const url = await new Promise((resolve, reject) => {
    for (const input of [child.stdout, child.stderr])
      createInterface({ input }).on("line", (line) => {
        const [found] = /http:\/\/127\.0\.0\.1:\d+/.exec(line.replace(/\x1b\[[0-9;]*m/g, "")) ?? [];
        if (found) resolve(found);
      });
    child.once("exit", (code) => reject(new Error(`${program} ended with ${code}`)));
  });
  return { child, url };
}

before(() => {
  mkdirSync(project);
  const platform = join(folder, "platform");
  run("node", [join(ROOT, "scripts/platform-package.mjs"), binary("ROOMFUL_BIN", "roomful"), platform]);
  const own = new Map([["roomful", join(ROOT, "packages/roomful")]]);
  for (const name of ["client", "react", "server"]) {
    own.set(`@roomful/${name}`, join(ROOT, "packages", name));
    run("npm", ["run", "--silent", "build"], { cwd: own.get(`@roomful/${name}`) });
  }
  const packed = (name) => (own.has(name) ? pack(own.get(name), folder) : name);
  const commands = [...page.matchAll(/^npm install (.*)$/gm)].map(([, names]) => names.split(" "));
  for (const names of [[pack(platform, folder), "roomful"], ...commands]) {
    const quiet = ["--prefer-offline", "--no-audit", "--no-fund", "--loglevel=error"];
    run("npm", ["install", ...quiet, ...names.map(packed)], { cwd: project });
  }
});

test("two windows chat, and a message that is written while the server is away arrives", async () => {
  const { child: server, url } = await started("roomful", "serve", "--dev", "--listen", "127.0.0.1:0");
  for (const name of ["index.html", "main.jsx", "vite.config.mjs"])
    writeFileSync(join(project, name), file(name).replace("http://127.0.0.1:3000", url));
  assert.ok(file("main.jsx").split("\n").length < 30, "the app has less than 30 lines");
  const { url: site } = await started("vite", "--host", "127.0.0.1", "--port", "0");

  browser = await launch();
  const faults = [];
  const [alice, bob] = await Promise.all(
    ["alice", "bob"].map(async (user) => {
      const window = await (await browser.newContext()).newPage();
      window.on("pageerror", (error) => faults.push(error));
      await window.goto(`${site}/?user=${user}`);
      await window.getByText("No messages yet").waitFor();
      return window;
    }),
  );
  const write = async (window, text) => {
    await window.getByRole("textbox").fill(text);
    await window.getByRole("textbox").press("Enter");
  };
  await write(alice, "Hello, Bob!");
  for (const window of [alice, bob]) await window.getByText("Hello, Bob!").first().waitFor();

  await stop(server);
  await write(bob, "Are you there?");
  await started("roomful", "serve", "--dev", "--listen", new URL(url).host);
  await alice.getByText("Are you there?").first().waitFor();
  assert.deepEqual(faults, []);
});
