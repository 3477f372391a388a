import { describe, expect, test } from "vitest";
import type { Change, Message } from "../src/contract.ts";
import { Timeline, WINDOW } from "../src/state/timeline.ts";
import { message, range } from "./messages.ts";

function page(
  from: number,
  to: number,
  more = false,
  epoch = "e1",
): { room: string; epoch: string; messages: Message[]; changes: Change[]; more: boolean } {
  return { room: "lobby", epoch, messages: to < from ? [] : range(from, to), changes: [], more };
}

function seqs(timeline: Timeline): number[] {
  return timeline.messages.map(({ seq }) => seq);
}

function filled(from: number, to: number, more = false): Timeline {
  const timeline = new Timeline();
  timeline.replace(page(from, to, more), to);
  return timeline;
}

describe("a timeline", () => {
  test("appends live messages and ignores repeated ones", () => {
    const timeline = filled(1, 3);
    timeline.receive(message(4), true);
    timeline.receive(message(4), true);
    timeline.receive(message(2), true);
    expect(seqs(timeline)).toEqual([1, 2, 3, 4]);
    expect(timeline.cursor).toBe(4);
  });

  test("keeps live messages that overtake the first page", () => {
    const timeline = new Timeline();
    timeline.receive(message(4), true);
    timeline.replace(page(1, 3), 3);
    expect(seqs(timeline)).toEqual([1, 2, 3, 4]);
    expect(timeline.head).toBe(4);
  });

  test("is bounded while the reader stays at the end, and knows that it dropped the oldest", () => {
    const timeline = filled(1, 2);
    for (let seq = 3; seq <= WINDOW + 50; seq += 1) timeline.receive(message(seq), true);
    expect(timeline.messages).toHaveLength(WINDOW);
    expect(timeline.last?.seq).toBe(WINDOW + 50);
    expect(timeline.hasOlder).toBe(true);
  });

  test("does not remove messages being read: when full, it stops appending and counts", () => {
    const timeline = filled(1, WINDOW);
    timeline.receive(message(WINDOW + 1), false);
    expect(timeline.first?.seq).toBe(1);
    expect(timeline.hasNewer).toBe(true);
    expect(timeline.head).toBe(WINDOW + 1);
  });

  test("drops the newest when older pages fill it, and finds back without a hole", () => {
    const timeline = filled(401, 600, true);
    timeline.addOlder(page(201, 400, true));
    expect([timeline.first?.seq, timeline.last?.seq]).toEqual([201, 500]);
    expect(timeline.hasNewer).toBe(true);
    timeline.receive(message(601), true);
    timeline.addNewer(page(501, 560, true));
    expect(timeline.hasNewer).toBe(true);
    timeline.addNewer(page(561, 601));
    expect(timeline.hasNewer).toBe(false);
    const held = seqs(timeline);
    expect(held).toEqual(range(held[0] ?? 0, 601).map(({ seq }) => seq));
  });

  test("asks on when a message came after the last page was cut", () => {
    const timeline = filled(1, 10);
    timeline.hasNewer = true;
    timeline.receive(message(12), false);
    timeline.addNewer(page(11, 11));
    expect(timeline.hasNewer).toBe(true);
    timeline.addNewer(page(12, 11));
    expect(timeline.hasNewer).toBe(false);
  });

  test("resumes with the missed messages", () => {
    const timeline = filled(1, 5);
    timeline.resume(page(6, 8), 8, false);
    expect(seqs(timeline)).toEqual([1, 2, 3, 4, 5, 6, 7, 8]);
    expect(timeline.cursor).toBe(8);
  });

  test("a log that ends in changes has an end, and older pages of changes alone lead on", () => {
    const timeline = new Timeline();
    const liked = (logSeq: number): Change => ({
      type: "reaction",
      seq: 1,
      logSeq,
      userId: `u${logSeq}`,
      at: 0,
      emoji: "👍",
      removed: false,
    });
    timeline.replace({ ...page(1, 0, true), changes: [liked(9), liked(10)] }, 10);
    expect([timeline.start, timeline.end, timeline.hasOlder, timeline.hasNewer]).toEqual([
      9,
      10,
      true,
      false,
    ]);
    timeline.addOlder({ ...page(1, 0, true), changes: [liked(7), liked(8)] });
    expect([timeline.start, timeline.hasOlder]).toEqual([7, true]);
    timeline.addOlder(page(1, 6));
    expect(timeline.hasOlder).toBe(false);
    expect(timeline.first?.reactions).toBeUndefined();
  });

  test("a change that overtakes a page is not undone by it", () => {
    const timeline = filled(1, 3);
    timeline.change({ type: "edited", seq: 2, logSeq: 4, userId: "bob", at: 9_000, text: "better" });
    timeline.replace(page(1, 3));
    expect(timeline.messages[1]?.text).toBe("better");
    expect([timeline.head, timeline.cursor]).toEqual([4, 4]);
  });

  test("missed changes apply to messages held from before, and only to those", () => {
    const timeline = filled(1, 3);
    const liked = (seq: number, logSeq: number): Change => ({
      type: "reaction",
      seq,
      logSeq,
      userId: "eve",
      at: 0,
      emoji: "👍",
      removed: false,
    });
    timeline.resume({ ...page(4, 4), changes: [liked(1, 5)] }, 9, true);
    timeline.addNewer({ ...page(6, 6), changes: [liked(2, 7), liked(6, 8), liked(3, 9)] });
    expect(timeline.messages.map(({ reactions }) => reactions?.length ?? 0)).toEqual([1, 1, 1, 0, 0]);
    expect(timeline.hasNewer).toBe(false);
  });

  test("a page of another epoch is not mixed in", () => {
    const timeline = filled(5, 8, true);
    timeline.addOlder(page(1, 4, false, "e2"));
    expect(seqs(timeline)).toEqual([5, 6, 7, 8]);
    timeline.replace(page(1, 2, false, "e2"), 2);
    expect(seqs(timeline)).toEqual([1, 2]);
    expect(timeline.head).toBe(2);
  });
});
