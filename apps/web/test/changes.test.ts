import { describe, expect, test } from "vitest";
import type { Change, Message } from "../src/contract.ts";
import { changed, reacted } from "../src/state/changes.ts";
import { message } from "./messages.ts";

function sign(userId: string, removed = false): Change {
  return { type: "reaction", seq: 1, logSeq: 2, userId, at: 0, emoji: "👍", removed };
}

function all(first: Message, ...changes: Change[]): Message {
  return changes.reduce(changed, first);
}

describe("reactions", () => {
  test("count each user once, and go when the last one takes theirs back", () => {
    const two = all(message(1), sign("ada"), sign("bob"), sign("ada"));
    expect(two.reactions).toEqual([{ emoji: "👍", userIds: ["ada", "bob"], count: 2 }]);
    expect([reacted(two, "👍", "ada"), reacted(two, "🎉", "ada"), reacted(two, "👍", "eve")]).toEqual([
      true,
      false,
      false,
    ]);
    expect(all(two, sign("ada", true), sign("ada", true), sign("bob", true)).reactions).toEqual([]);
  });

  test("of users beyond the bounded list are counted", () => {
    const many = message(1, { reactions: [{ emoji: "👍", userIds: ["ada"], count: 150 }] });
    expect(all(many, sign("eve", true)).reactions?.[0]?.count).toBe(149);
    expect(all(many, sign("ada", true)).reactions?.[0]).toEqual({ emoji: "👍", userIds: [], count: 149 });
  });

  test("leave the message before as it was", () => {
    const before = message(1, { reactions: [{ emoji: "👍", userIds: ["ada"], count: 1 }] });
    const kept = structuredClone(before);
    changed(before, sign("bob"));
    expect(before).toEqual(kept);
  });
});

describe("edits and deletes", () => {
  const edit = (text: string, at: number): Change => ({
    type: "edited",
    seq: 1,
    logSeq: at,
    userId: "bob",
    at,
    text,
  });

  test("the latest edit holds, in whatever order they come", () => {
    expect(all(message(1), edit("two", 20), edit("one", 10))).toMatchObject({ text: "two", editedAt: 20 });
  });

  test("a deleted message keeps its place and its author, and nothing else happens to it", () => {
    const gone = all(
      message(1, { reactions: [{ emoji: "👍", userIds: ["ada"], count: 1 }], mentions: ["ada"] }),
      { type: "deleted", seq: 1, logSeq: 5, userId: "eve", at: 50 },
      edit("back", 60),
      sign("ada"),
    );
    expect(gone).toEqual({
      id: "m1",
      room: "lobby",
      seq: 1,
      userId: "bob",
      text: "",
      at: 1000,
      deleted: true,
    });
  });
});
