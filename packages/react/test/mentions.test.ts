import { describe, expect, test } from "vitest";
import { beginning, matching, mentioned, pieces } from "../src/text/mentions.ts";

const person = (userId: string, name = userId): { userId: string; name: string } => ({ userId, name });
const nobody = new Map<string, string>();

describe("the name being typed", () => {
  test("begins at an @ that begins a word, and ends at the caret", () => {
    expect(beginning("hi @gr", 6)).toEqual({ from: 3, typed: "gr" });
    expect(beginning("hi @grace", 6)).toEqual({ from: 3, typed: "gr" });
    expect(beginning("@", 1)).toEqual({ from: 0, typed: "" });
    expect(beginning("(@é", 3)).toEqual({ from: 1, typed: "é" });
  });

  test("is not in an address, behind a blank, or without end", () => {
    expect(beginning("mail ada@example", 16)).toBeUndefined();
    expect(beginning("@ada hello", 10)).toBeUndefined();
    expect(beginning("@@", 2)).toBeUndefined();
    expect(beginning("no one", 6)).toBeUndefined();
    expect(beginning(`@${"x".repeat(200)}`, 201)).toBeUndefined();
  });

  test("finds people by any word of their name, whole names first", () => {
    const people = [
      person("u1", "Ada Grace"),
      person("u2", "grace hopper"),
      person("u3", "Ida"),
      person("grünn", "Z"),
    ];
    expect(matching(people, "GR", 9).map(({ userId }) => userId)).toEqual(["u2", "u1", "grünn"]);
    expect(matching(people, "", 2)).toHaveLength(2);
    expect(matching(people, "x", 9)).toEqual([]);
  });
});

describe("whom a text mentions", () => {
  const people = [person("u1", "Ann"), person("u2", "Ann Lee"), person("u3", "Bob"), person("u4", "Bob")];

  test("is whose whole name stands behind an @, the longest one", () => {
    expect(mentioned("@Ann Lee, @ann! and @Ann again", nobody, people, 9)).toEqual(["u2", "u1"]);
    expect(mentioned("@Annabel x@Ann @ Ann", nobody, people, 9)).toEqual([]);
  });

  test("mentions the chosen user if two have the name, and nobody without a choice", () => {
    expect(mentioned("@Bob", nobody, people, 9)).toEqual([]);
    expect(mentioned("@Bob", new Map([["Bob", "u4"]]), people, 9)).toEqual(["u4"]);
    expect(mentioned("nobody after all", new Map([["Bob", "u4"]]), people, 9)).toEqual([]);
  });

  test("keeps the chosen user after they have gone, and stays within the server's limit", () => {
    expect(
      mentioned(
        "@Cy and @Bob",
        new Map([
          ["Cy", "u9"],
          ["Bob", "u3"],
        ]),
        [],
        9,
      ),
    ).toEqual(["u9", "u3"]);
    expect(
      mentioned(
        "@Cy and @Bob",
        new Map([
          ["Cy", "u9"],
          ["Bob", "u3"],
        ]),
        [],
        1,
      ),
    ).toEqual(["u9"]);
  });

  test("is cut out of the text without losing any of it", () => {
    const text = "so @Ann, @Bob: @Ann";
    const cut = pieces(text, ["Ann", "", "Bob"]);
    expect(cut.map((piece) => piece.text).join("")).toBe(text);
    expect(cut.filter(({ name }) => name !== undefined).map((piece) => piece.text)).toEqual([
      "@Ann",
      "@Bob",
      "@Ann",
    ]);
  });
});
