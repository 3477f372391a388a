import { describe, expect, test } from "vitest";
import { Noticing } from "../src/chat/noticing.ts";
import { RequestError, type Notice, type Request } from "../src/contract.ts";
import { MOST_NOTICES, Notices } from "../src/state/notices.ts";
import { settle, TestClock } from "./clock.ts";

function notice(at: number, more: Partial<Notice> = {}): Notice {
  return { id: `n${at}`, kind: "k", title: `title ${at}`, body: "", at, ...more };
}

describe("notifications", () => {
  test("count once, however often they arrive, and are bounded", () => {
    const notices = new Notices();
    expect([notices.receive(notice(1)), notices.receive(notice(1))]).toEqual([true, false]);
    expect(notices.unread).toBe(1);
    for (let at = 2; at <= MOST_NOTICES + 5; at += 1) notices.receive(notice(at));
    expect(notices.all).toHaveLength(MOST_NOTICES);
    expect(notices.unread).toBe(MOST_NOTICES + 5);
    expect(notices.all[0]?.at).toBe(MOST_NOTICES + 5);
  });

  test("one that overtakes the list is not lost by it", () => {
    const notices = new Notices();
    notices.receive(notice(2));
    notices.receive(notice(3));
    notices.listed({ notifications: [notice(2), notice(1, { readAt: 5 })], unread: 1, more: false });
    expect(notices.all.map(({ id }) => id)).toEqual(["n3", "n2", "n1"]);
    expect(notices.unread).toBe(2);
  });

  test("are read one by one or all at once, when the server says so", async () => {
    const notices = new Notices();
    for (const at of [1, 2, 3]) notices.receive(notice(at));
    const answers: (number | RequestError)[] = [
      2,
      new RequestError({ code: "unavailable", message: "later", retryable: true }),
      0,
    ];
    const request = (async () => {
      const unread = answers.shift();
      if (typeof unread !== "number") throw unread;
      return { unread };
    }) as unknown as Request;
    const told: string[] = [];
    const noticing = new Noticing({
      notices,
      request,
      clock: new TestClock(),
      failed: (words) => told.push(words),
      changed: () => undefined,
    });
    const unread = (): string[] =>
      notices.all.filter(({ readAt }) => readAt === undefined).map(({ id }) => id);
    await noticing.read({ id: "n2" });
    expect([unread(), notices.unread]).toEqual([["n3", "n1"], 2]);
    await noticing.read({ all: true });
    expect([unread(), told]).toEqual([["n3", "n1"], ["Could not mark as read: later"]]);
    await noticing.read({ all: true });
    await settle();
    expect([unread(), notices.unread]).toEqual([[], 0]);
  });
});
