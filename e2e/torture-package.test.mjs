// The laws that the torture checks on devices with the client package find planted violations.

import assert from "node:assert/strict";
import { test } from "node:test";

import { violations } from "../torture/package/laws.mjs";

const LOG = ["a 1", "b 1", "a 2", "b 2"].map((text, n) => ({ seq: n + 1, text }));
const WRITTEN = { a: [["a 1", 1], ["a 2", undefined]], b: [["b 1", 2], ["b 2", 4]] };

/** Both devices, with the whole log in view. */
const views = () =>
  Object.entries(WRITTEN).map(([name, written]) => ({ name, written: new Map(written), shown: [...LOG] }));

test("a sound room breaks no law, also if a device shows only its end", () => {
  const all = views();
  all[1].shown = LOG.slice(2);
  assert.deepEqual(violations("room", LOG, all), []);
});

for (const [what, log, change, expected] of [
  ["a lost message", LOG.filter(({ text }) => text !== "b 2"), undefined, /"b 2" is stored 0 times/],
  ["a message twice", [...LOG, { seq: 5, text: "a 1" }], undefined, /"a 1" is stored 2 times \(1,5\)/],
  ["another number", LOG, ([a]) => a.written.set("a 1", 3), /acknowledged as 3 and is stored as 1/],
  [
    "another order",
    [LOG[2], LOG[1], LOG[0], LOG[3]].map(({ text }, n) => ({ seq: n + 1, text })),
    undefined,
    /"a 2" is stored where a wrote "a 1"/,
  ],
  ["a hole in a view", LOG, ([a]) => a.shown.splice(1, 1), /a shows 3 "a 2" where the log has 2 "b 1"/],
  ["a view that repeats", LOG, ([a]) => a.shown.push(LOG[3]), /a shows 4 "b 2" where the log has nothing/],
  ["an empty view", LOG, ([a]) => (a.shown = []), /a shows nothing of 4 messages/],
])
  test(`${what} breaks a law`, () => {
    const all = views();
    change?.(all);
    assert.match(violations("room", log, all).join("\n"), expected);
  });
