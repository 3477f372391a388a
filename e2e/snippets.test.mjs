// The code of docs/events.md, run as written.

import assert from "node:assert/strict";
import { readFileSync } from "node:fs";
import { join } from "node:path";
import { after, before, test } from "node:test";

import { done, leaveAll, member } from "./lib/people.mjs";
import { ROOT, Roomful } from "./lib/process.mjs";
import { tokenFor } from "./lib/token.mjs";
import { until } from "./lib/waiting.mjs";

/** The module in the code block that exports `name`. */
async function snippet(name) {
  const text = readFileSync(join(ROOT, "docs/events.md"), "utf8");
  const blocks = [...text.matchAll(/```js\n(.*?)```/gs)].map(([, code]) => code);
  const code = blocks.find((block) => block.includes(`export function ${name}`));
  assert.ok(code, `docs/events.md exports ${name}`);
  const resolved = code.replace(
    '"socket.io-client"',
    JSON.stringify(import.meta.resolve("socket.io-client")),
  );
  return import(`data:text/javascript;base64,${Buffer.from(resolved).toString("base64")}`);
}

let server;
before(async () => {
  // Without recovery, each connection has to catch up by itself.
  server = await Roomful.start({ env: { ROOMFUL_LIMITS: "off", ROOMFUL__RECOVERY__WINDOW: "0s" } });
});
after(async () => {
  leaveAll();
  await server.stop();
});

test("the client of the documentation holds every entry, over pages and live ones", async () => {
  const { follow } = await snippet("follow");
  const room = "lobby";
  const alice = await member(server, "alice", room);
  const say = (text) => done(alice, "chat:send_message", { room, text });
  await say("first");

  const shown = [];
  const hooks = { show: (entry) => shown.push(entry.logSeq ?? entry.seq), clear: () => (shown.length = 0) };
  const bob = follow(server.url, async () => tokenFor("bob"), room, hooks);
  const upto = (head) => until(() => shown.at(-1) === head, `entry ${head}; shown: ${shown.slice(-5)}`);
  try {
    await upto(1);
    await say("live");
    await upto(2);

    bob.disconnect();
    for (let n = 0; n < 240; n += 1) await say(`missed ${n}`);
    await done(alice, "chat:edit_message", { room, seq: 1, text: "first!" });
    await done(alice, "chat:react", { room, seq: 2, emoji: "+1" });
    bob.connect();
    // Entries that arrive while the pages do.
    for (let n = 0; n < 30; n += 1) await say(`meanwhile ${n}`);
    await upto(274);
    assert.deepEqual(
      shown,
      Array.from({ length: 274 }, (_, n) => n + 1),
    );
  } finally {
    bob.disconnect();
  }
});
