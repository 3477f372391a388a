// Each example, started by its command.

import assert from "node:assert/strict";
import { spawn } from "node:child_process";
import { once } from "node:events";
import { join } from "node:path";
import { createInterface } from "node:readline";
import { after, before, test } from "node:test";

import { io } from "socket.io-client";

import { freePort } from "./lib/backing.mjs";
import { launch } from "./lib/browser.mjs";
import { binary, ROOT } from "./lib/process.mjs";

/** Starts an example and resolves to its first address and a function that ends it. */
async function start(name) {
  const port = await freePort();
  const child = spawn(process.execPath, ["examples/start.mjs", name], {
    cwd: ROOT,
    env: { ...process.env, PORT: String(port), ROOMFUL_BIN: binary("ROOMFUL_BIN", "roomful") },
    stdio: ["ignore", "pipe", "inherit"],
  });
  const exit = once(child, "exit");
  const stop = async () => {
    child.kill("SIGINT");
    await exit;
  };
  for await (const line of createInterface({ input: child.stdout })) {
    const [, url] = /^ready: (\S+)/.exec(line) ?? [];
    if (url) return { url, stop };
  }
  throw new Error(`the example ${name} ended with ${(await exit)[0]}`);
}

async function withExample(name, body) {
  const { url, stop } = await start(name);
  try {
    await body(url);
  } finally {
    await stop();
  }
}

let browser;
before(async () => {
  browser = await launch();
});
after(() => browser?.close());

/** Two windows on an example write to each other; none of them has a fault. */
async function chat(name, field, isReady) {
  await withExample(name, async (url) => {
    const faults = [];
    const open = async (user) => {
      const page = await browser.newPage();
      page.on("pageerror", (error) => faults.push(error));
      page.on("console", (line) => line.type() === "error" && faults.push(line.text()));
      await page.goto(url.replace("alice", user));
      await isReady(page);
      return page;
    };
    const [alice, bob] = [await open("alice"), await open("bob")];
    await alice.getByRole("textbox", { name: field }).fill("Hello, Bob!");
    await alice.getByRole("textbox", { name: field }).press("Enter");
    for (const page of [alice, bob]) await page.getByText("Hello, Bob!").first().waitFor();
    if (process.env.SCREENSHOTS)
      await bob.screenshot({ path: join(process.env.SCREENSHOTS, `${name}.png`) });
    assert.deepEqual(faults, []);
    await Promise.all([alice.close(), bob.close()]);
  });
}

test("plain HTML: two windows chat, without a fault", { timeout: 90_000 }, () =>
  chat("plain-html", "Message", (page) => page.getByText("online", { exact: true }).waitFor()),
);

test("React: two windows chat, without a fault", { timeout: 90_000 }, () =>
  chat("react-chat", "Message lobby", (page) => page.getByText("No messages yet").waitFor()),
);

for (const name of ["node-backend", "python-backend"])
  test(`${name}: the bot answers by webhook`, { timeout: 60_000 }, () =>
    withExample(name, async (url) => {
      const token = await (await fetch(url)).text();
      const { origin } = new URL(url);
      const server = await (await fetch(`${origin}/chat-server`)).text();
      const socket = io(server, { auth: { token }, forceNew: true });
      try {
        await once(socket, "session");
        const joined = await socket.emitWithAck("chat:join", { room: "support" });
        assert.equal(joined.ok, true, JSON.stringify(joined));
        const answer = new Promise((resolve) =>
          socket.on("chat:receive_message", (message) => message.userId === "bot" && resolve(message)),
        );
        const sent = await socket.emitWithAck("chat:send_message", { room: "support", text: "/time" });
        const { text, replyTo } = await answer;
        assert.match(text, /^It is \d{4}-/);
        assert.equal(replyTo, sent.data.seq);
        const forged = await fetch(`${origin}/hooks/chat`, { method: "POST", body: "{}" });
        assert.equal(forged.status, 401);
      } finally {
        socket.disconnect();
      }
    }),
  );

test("next-token: only a signed-in user gets a token", { timeout: 60_000 }, () =>
  withExample("next-token", async (url) => {
    assert.equal((await fetch(url)).status, 401);
    const answer = await fetch(url, { headers: { cookie: "theme=dark; user=alice" } });
    const [, claims] = (await answer.text()).split(".");
    assert.equal(JSON.parse(Buffer.from(claims, "base64url")).sub, "alice");
  }),
);
