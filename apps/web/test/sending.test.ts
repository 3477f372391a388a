import { describe, expect, test } from "vitest";
import { Sending } from "../src/chat/sending.ts";
import { RequestError, type Failure, type Request } from "../src/contract.ts";
import { MOST_PENDING, Outbox } from "../src/state/outbox.ts";
import { memoryShelf, settle, TestClock } from "./clock.ts";

interface Sent {
  text: string;
  clientId: string;
  mentions?: string[];
}

function scene(answers: (Failure | number)[]): {
  sending: Sending;
  outbox: Outbox;
  clock: TestClock;
  sent: Sent[];
  line: { ready: boolean };
} {
  const clock = new TestClock();
  const outbox = new Outbox(memoryShelf(), "outbox");
  const sent: Sent[] = [];
  const line = { ready: true };
  let seq = 0;
  const request = (async (_event: string, payload: Sent) => {
    sent.push(payload);
    const answer = answers.shift();
    if (typeof answer === "object") throw new RequestError(answer);
    return { id: "m", room: "lobby", seq: (seq += 1), at: clock.now(), duplicate: false };
  }) as unknown as Request;
  const sending = new Sending({
    outbox,
    request,
    clock,
    ready: () => line.ready,
    changed: () => undefined,
  });
  return { sending, outbox, clock, sent, line };
}

const limited: Failure = {
  code: "rate_limited",
  message: "Too fast.",
  retryable: true,
  retryAfterMs: 20_000,
};
const timeout: Failure = { code: "timeout", message: "No answer.", retryable: true };
const refused: Failure = { code: "forbidden", message: "Not here.", retryable: false };

describe("sending", () => {
  test("an acknowledged message stays until it arrives in the room, and is not sent again", async () => {
    const { sending, outbox, sent } = scene([]);
    sending.send("lobby", "hello");
    await settle();
    expect(outbox.of("lobby")).toMatchObject([{ state: "sent", seq: 1 }]);
    sending.wake("lobby");
    await settle();
    expect(sent).toHaveLength(1);
    expect(outbox.settle({ room: "lobby", seq: 1 })).toBe(true);
    expect(outbox.of("lobby")).toEqual([]);
  });

  test("a retry carries the same clientId", async () => {
    const { sending, clock, sent } = scene([timeout, timeout]);
    sending.send("lobby", "hello");
    await clock.pass(60_000);
    expect(sent).toHaveLength(3);
    expect(new Set(sent.map(({ clientId }) => clientId)).size).toBe(1);
  });

  test("a retry mentions the same people, also after a reload", async () => {
    const { sending, outbox, clock, sent } = scene([timeout]);
    sending.send("lobby", "@Bob", ["bob"]);
    await clock.pass(60_000);
    expect(sent.map((payload) => payload.mentions)).toEqual([["bob"], ["bob"]]);
    const shelf = memoryShelf();
    new Outbox(shelf, "outbox").add("c1", "lobby", "@Bob", 1, ["bob"]);
    expect(new Outbox(shelf, "outbox").next("lobby")?.mentions).toEqual(["bob"]);
    outbox.add("c2", "lobby", "nobody", 1);
    expect(outbox.of("lobby").map(({ mentions }) => mentions)).toEqual([["bob"], undefined]);
  });

  test("waits as long as the server says, and holds back later messages", async () => {
    const { sending, clock, sent } = scene([limited]);
    sending.send("lobby", "first");
    sending.send("lobby", "second");
    await clock.pass(19_000);
    expect(sent.map(({ text }) => text)).toEqual(["first"]);
    await clock.pass(2_000);
    expect(sent.map(({ text }) => text)).toEqual(["first", "first", "second"]);
  });

  test("a final refusal is shown, lets the next pass, and can be tried again by hand", async () => {
    const { sending, outbox, sent } = scene([refused]);
    sending.send("lobby", "first");
    sending.send("lobby", "second");
    await settle();
    expect(outbox.of("lobby")).toMatchObject([
      { text: "first", state: "failed", reason: "Not here." },
      { text: "second", state: "sent" },
    ]);
    const failed = outbox.of("lobby")[0];
    if (failed) sending.retry(failed);
    await settle();
    expect(sent[2]).toEqual(sent[0]);
  });

  test("gives up after several tries instead of trying for ever", async () => {
    const { sending, outbox, clock, sent } = scene(Array.from({ length: 50 }, () => timeout));
    sending.send("lobby", "hello");
    await clock.pass(600_000);
    expect(outbox.of("lobby")).toMatchObject([{ state: "failed" }]);
    expect(sent.length).toBeLessThan(10);
  });

  test("without a connection nothing is tried; the join sets it off", async () => {
    const { sending, sent, line } = scene([]);
    line.ready = false;
    sending.send("lobby", "hello");
    await settle();
    expect(sent).toEqual([]);
    line.ready = true;
    sending.wake("lobby");
    await settle();
    expect(sent).toHaveLength(1);
  });

  test("is bounded", () => {
    const { sending, line } = scene([]);
    line.ready = false;
    for (let i = 0; i < MOST_PENDING; i += 1) expect(sending.send("lobby", "x")).toBe(true);
    expect(sending.send("lobby", "x")).toBe(false);
  });
});

describe("the outbox", () => {
  test("survives a reload with the same clientIds", () => {
    const shelf = memoryShelf();
    const before = new Outbox(shelf, "outbox");
    before.add("c1", "lobby", "hello", 1);
    before.add("c2", "lobby", "again", 2);
    before.refused("c2", refused, 3, 0);
    const after = new Outbox(shelf, "outbox");
    expect(after.of("lobby")).toMatchObject([
      { clientId: "c1", state: "sending" },
      { clientId: "c2", state: "failed" },
    ]);
    expect(after.next("lobby")?.clientId).toBe("c1");
  });

  test("takes nothing from a shelf that holds something else", () => {
    const shelf = memoryShelf();
    shelf.write("outbox", [
      { clientId: 7 },
      null,
      "x",
      { clientId: "c", room: "lobby", text: "x", at: 1, state: "sending", mentions: [7] },
    ]);
    expect(new Outbox(shelf, "outbox").rooms).toEqual([]);
  });
});
