// Tests of the ledger's checker: it must report each kind of violation.

import assert from "node:assert/strict";
import { test } from "node:test";

import { faults } from "./lib/ledger.mjs";

const acknowledged = new Map([
  ["a", 1],
  ["b", 2],
  ["c", 3],
]);

/** Entries from "1a 2b": each a seq and a text. */
const entries = (line) => line.split(" ").map(([seq, text]) => ({ seq: Number(seq), text }));

test("a correct history has no violations", () => {
  assert.deepEqual(faults(entries("1a 2b 3c"), acknowledged), []);
  assert.deepEqual(faults([], new Map()), []);
});

for (const [what, line, expected] of [
  ["a message that was stored twice, under two seqs", "1a 2b 3c 4b", ['4, "b", was there before, as 2']],
  ["one that was delivered twice", "1a 2b 2b 3c", ["2 follows 2", '2, "b", was there before, as 2']],
  ["a hole", "1a 3c", ["3 follows 1", '2, "b", is missing']],
  ["an inversion", "1a 3c 2b", ["3 follows 1", "2 follows 3"]],
  ["a lost one whose place another took", "1a 2c", ['2, "c", was acknowledged as 3', '2, "b", is missing']],
  ["the last one is lost", "1a 2b", ['3, "c", is missing']],
  ["one that nobody sent, or that was refused", "1a 2b 3c 4d", ['4, "d", was not acknowledged']],
  [
    "two that changed places after their acks",
    "1b 2a 3c",
    ['1, "b", was acknowledged as 2', '2, "a", was acknowledged as 1'],
  ],
]) {
  test(`reports ${what}`, () => assert.deepEqual(faults(entries(line), acknowledged), expected));
}
