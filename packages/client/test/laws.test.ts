// The check of the log's laws, on snapshots that keep and that break them, and the report to the server.

import { afterAll, afterEach, beforeAll, describe, expect, test, vi } from "vitest";

import { startRoomful, type TestRoomful } from "../../testing/src/index.ts";
import { LawChecker } from "../src/laws.ts";
import { clientFor, closeClients, enter, post, until } from "./server.ts";

const messages = (...seqs: number[]) => seqs.map((seq) => ({ seq }));

/** A checker of a window up to 3, to which messages 4 to 6 and change 7 have arrived. */
function checker(): LawChecker {
  const laws = new LawChecker();
  laws.restart(3);
  laws.handedOut(messages(1, 2, 3), 3);
  for (const number of [4, 5, 6]) laws.arrived(number, true);
  laws.arrived(7, false);
  return laws;
}

describe("a snapshot", () => {
  test("that keeps the laws is counted", () => {
    const laws = checker();
    laws.handedOut(messages(1, 2, 3, 4, 5, 6), 7);
    expect(laws.counts).toEqual({ entries: 7, violations: { ascending: 0, dense: 0, once: 0 } });
  });

  for (const [what, seqs, upTo, violations] of [
    ["with a message twice", [1, 2, 3, 4, 5, 5, 6], 7, { ascending: 0, dense: 0, once: 1 }],
    ["with a message in the wrong place", [1, 2, 3, 5, 4, 6], 7, { ascending: 1, dense: 0, once: 0 }],
    ["without a message that has arrived", [1, 2, 3, 4, 6], 7, { ascending: 0, dense: 1, once: 0 }],
    ["that claims entries that never arrived", [1, 2, 3, 4, 5, 6], 9, { ascending: 0, dense: 2, once: 0 }],
  ] as const)
    test(`${what} is a violation, and counts once however often it is shown`, () => {
      const laws = checker();
      for (let n = 0; n < 3; n++) laws.handedOut(messages(...seqs), upTo);
      expect(laws.counts.violations).toEqual(violations);
    });

  test("after the removal of old entries by retention has no hole", () => {
    const laws = checker();
    laws.removed(3);
    laws.handedOut(messages(1, 2, 3, 4, 5, 6), 10);
    expect(laws.counts.violations.dense).toBe(0);
  });
});

test("a page that arrives right before the connection is lost is no hole", () => {
  const laws = checker();
  laws.disconnected(6);
  laws.handedOut(messages(1, 2, 3, 4, 5, 6), 6);
  laws.handedOut(messages(1, 2, 3, 4, 5, 6), 7);
  expect(laws.counts).toEqual({ entries: 6, violations: { ascending: 0, dense: 1, once: 0 } });
});

test("a report has the counts since the last one, and is repeated after a loss", () => {
  const laws = checker();
  laws.handedOut(messages(1, 2, 3, 4, 5, 5), 7);
  const report = laws.takeReport();
  expect(report).toEqual({
    entries: 7,
    violations: [
      { law: "dense", count: 1 },
      { law: "once", count: 1 },
    ],
  });
  expect(laws.takeReport()).toBeUndefined();
  laws.returnReport(report!);
  expect(laws.takeReport()).toEqual(report);
});

describe("on the server", () => {
  let server: TestRoomful;
  beforeAll(async () => {
    server = await startRoomful();
  });
  afterEach(closeClients);
  afterAll(() => server?.stop());

  const metric = async (series: string): Promise<number> => {
    const text = await (await fetch(`${server.directUrl}/metrics`)).text();
    const line = text.split("\n").find((one) => one.startsWith(`${series} `));
    return Number(line?.slice(series.length));
  };

  test("a mark reports the entries that the app has seen", async () => {
    const room = await enter(clientFor(server, "ada"), "reported");
    for (let n = 1; n <= 5; n++) await post(server, "reported", `text ${n}`);
    await until(room, (snapshot) => snapshot.messages.length === 5);
    room.markRead();
    const checked = "roomful_client_entries_checked_total";
    await vi.waitUntil(async () => (await metric(checked)) === 5, { timeout: 20_000 });
    for (const law of ["ascending", "dense", "once"])
      expect(await metric(`roomful_client_law_violations_total{law="${law}"}`)).toBe(0);
  });
});
