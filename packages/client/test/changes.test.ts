// Changes of a message: edits, deletions and reactions, applied in log order.

import { describe, expect, test } from "vitest";

import { changed } from "../src/changes.ts";
import type { Change, Message } from "../src/index.ts";

const message = (more: Partial<Message> = {}): Message => ({
  id: "m1",
  room: "lobby",
  seq: 1,
  userId: "bob",
  text: "text 1",
  at: 1_000,
  ...more,
});

const reaction = (userId: string, removed = false, mine = false): Change => ({
  mine,
  type: "reaction",
  seq: 1,
  logSeq: 2,
  userId,
  at: 0,
  emoji: "👍",
  removed,
});

const all = (first: Message, ...changes: Change[]): Message => changes.reduce(changed, first);

describe("reactions", () => {
  test("count each user once, and go with the last one", () => {
    const two = all(message(), reaction("ada"), reaction("bob"), reaction("ada"));
    expect(two.reactions).toEqual([{ emoji: "👍", userIds: ["ada", "bob"], count: 2, mine: false }]);
    expect(all(two, reaction("ada", true), reaction("ada", true), reaction("bob", true)).reactions).toEqual(
      [],
    );
  });

  test("of users beyond the bounded list are counted", () => {
    const many = message({ reactions: [{ emoji: "👍", userIds: ["ada"], count: 150 }] });
    expect(all(many, reaction("eve", true)).reactions?.[0]?.count).toBe(149);
    expect(all(many, reaction("ada", true)).reactions?.[0]).toEqual({
      emoji: "👍",
      userIds: [],
      count: 149,
      mine: false,
    });
  });

  test("are the user's own, also beyond the bounded list", () => {
    const many = message({ reactions: [{ emoji: "👍", userIds: ["ada"], count: 150, mine: true }] });
    const mine = (one: Message) => one.reactions?.map(({ count, mine: own }) => [count, own]);
    expect(mine(all(many, reaction("eve")))).toEqual([[151, true]]);
    expect(mine(all(many, reaction("me", false, true)))).toEqual([[150, true]]);
    expect(mine(all(many, reaction("me", true, true)))).toEqual([[149, false]]);
    const others = message({ reactions: [{ emoji: "👍", userIds: ["ada"], count: 150, mine: false }] });
    expect(mine(all(others, reaction("me", true, true)))).toEqual([[150, false]]);
    expect(mine(all(others, reaction("me", false, true)))).toEqual([[151, true]]);
    expect(mine(all(message(), reaction("me", false, true)))).toEqual([[1, true]]);
  });

  test("leave the message before as it was", () => {
    const before = message({ reactions: [{ emoji: "👍", userIds: ["ada"], count: 1 }] });
    const kept = structuredClone(before);
    changed(before, reaction("bob"));
    expect(before).toEqual(kept);
  });
});

test("a deleted message keeps its place and its author, and nothing else happens to it", () => {
  const gone = all(
    message({ reactions: [{ emoji: "👍", userIds: ["ada"], count: 1 }], mentions: ["ada"] }),
    { type: "deleted", seq: 1, logSeq: 5, userId: "eve", at: 50 },
    { type: "edited", seq: 1, logSeq: 6, userId: "bob", at: 60, text: "back" },
    reaction("ada"),
  );
  expect(gone).toEqual({
    id: "m1",
    room: "lobby",
    seq: 1,
    userId: "bob",
    text: "",
    at: 1_000,
    deleted: true,
  });
});
