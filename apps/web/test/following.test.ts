// What follows the user and the line: joins, read marks, typing.

import { describe, expect, test } from "vitest";
import { Inbox } from "../src/chat/inbox.ts";
import { Joining } from "../src/chat/joining.ts";
import { Reading } from "../src/chat/reading.ts";
import { Typist } from "../src/chat/typist.ts";
import { RequestError, type JoinAnswer, type Request } from "../src/contract.ts";
import { Room } from "../src/state/room.ts";
import { settle, TestClock } from "./clock.ts";
import { message, range } from "./messages.ts";

const joined: JoinAnswer = {
  room: "lobby",
  epoch: "e1",
  head: 3,
  messages: range(1, 3),
  changes: [],
  more: false,
  reset: false,
  readSeq: 0,
  unread: 3,
  mentions: 0,
};

interface Call {
  event: string;
  payload: Record<string, unknown>;
  answer: (data: unknown) => void;
  refuse: (error: Error) => void;
}

function line(): { calls: Call[]; request: Request } {
  const calls: Call[] = [];
  const request = ((event: string, payload: Record<string, unknown>) =>
    new Promise((answer, refuse) => calls.push({ event, payload, answer, refuse }))) as unknown as Request;
  return { calls, request };
}

describe("the inbox", () => {
  test("is read to its end, or until the list is full, and once more when it failed", async () => {
    const { calls, request } = line();
    const clock = new TestClock();
    const found: string[] = [];
    const inbox = new Inbox({ request, clock, found: (room) => found.push(room) < 3 });
    void inbox.load();
    calls[0]?.refuse(new RequestError({ code: "unavailable", message: "", retryable: true }));
    await clock.pass(2_000);
    calls[1]?.answer({
      rooms: [
        { room: "a", unread: 0, mentions: 0 },
        { room: "b", unread: 1, mentions: 1 },
      ],
      next: "b",
    });
    await settle();
    expect(calls[2]).toMatchObject({ event: "chat:inbox", payload: { after: "b" } });
    calls[2]?.answer({ rooms: [{ room: "c", unread: 0, mentions: 0 }], next: "c" });
    await settle();
    expect(found).toEqual(["a", "b", "c"]);
    expect(calls).toHaveLength(3);
  });
});

describe("joining", () => {
  test("never has more than four in flight, and ignores answers of an earlier connection", async () => {
    const { calls, request } = line();
    const entered: string[] = [];
    const joining = new Joining({
      request,
      clock: new TestClock(),
      changed: () => undefined,
      entered: (room) => entered.push(room.name),
    });
    const rooms = Array.from({ length: 6 }, (_, i) => new Room(`room-${i}`));
    joining.start(rooms);
    expect(calls).toHaveLength(4);
    calls[0]?.answer(joined);
    await settle();
    expect(calls).toHaveLength(5);
    joining.start(rooms);
    calls[1]?.answer(joined);
    await settle();
    expect(entered).toEqual(["room-0"]);
  });

  test("resumes with since and epoch, tries again when told to, and stops at a refusal", async () => {
    const { calls, request } = line();
    const clock = new TestClock();
    const joining = new Joining({ request, clock, changed: () => undefined, entered: () => undefined });
    const room = new Room("lobby");
    room.joined(joined, false, "ada");
    room.disconnected();
    joining.start([room]);
    expect(calls[0]?.payload).toMatchObject({ room: "lobby", since: 3, epoch: "e1" });
    calls[0]?.refuse(
      new RequestError({ code: "rate_limited", message: "", retryable: true, retryAfterMs: 500 }),
    );
    await clock.pass(499);
    expect(calls).toHaveLength(1);
    await clock.pass(1);
    expect(calls).toHaveLength(2);
    calls[1]?.refuse(new RequestError({ code: "forbidden", message: "No.", retryable: false }));
    await clock.pass(60_000);
    expect(calls).toHaveLength(2);
    expect(room.phase).toBe("refused");
  });
});

describe("reading", () => {
  test("marks are coalesced, and none is sent twice", async () => {
    const { calls, request } = line();
    const clock = new TestClock();
    const reading = new Reading({ request, clock, changed: () => undefined });
    const room = new Room("lobby");
    room.joined(joined, false, "ada");
    reading.seen(room);
    room.receive(message(4), "ada", true, true);
    reading.seen(room);
    expect(room.unread).toBe(0);
    await clock.pass(1_000);
    reading.seen(room);
    await clock.pass(1_000);
    expect(calls.map(({ payload }) => payload)).toEqual([{ room: "lobby", seq: 4 }]);
  });
});

describe("typing", () => {
  test("is sent at most every two seconds, and ends after five seconds of silence", async () => {
    const { calls, request } = line();
    const clock = new TestClock();
    const typist = new Typist(request, clock);
    for (let i = 0; i < 10; i += 1) {
      typist.typed("lobby");
      await clock.pass(250);
    }
    expect(calls.map(({ event }) => event)).toEqual(["chat:typing_start", "chat:typing_start"]);
    await clock.pass(5_000);
    expect(calls.at(-1)?.event).toBe("chat:typing_stop");
    expect(calls).toHaveLength(3);
  });

  test("a sent message ends it without a word", async () => {
    const { calls, request } = line();
    const clock = new TestClock();
    const typist = new Typist(request, clock);
    typist.typed("lobby");
    typist.sent();
    await clock.pass(10_000);
    expect(calls).toHaveLength(1);
  });
});
