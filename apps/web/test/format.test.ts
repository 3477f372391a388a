import { describe, expect, test } from "vitest";
import { hue, initials } from "../src/format/faces.ts";
import { parts } from "../src/format/links.ts";
import { rows } from "../src/format/rows.ts";
import { ago, day } from "../src/format/times.ts";
import { fromToken } from "../src/session.ts";
import { message } from "./messages.ts";

describe("links", () => {
  test.each([
    ["see https://a.example/x?y=1#z, then", "https://a.example/x?y=1#z"],
    ["(https://a.example/x)", "https://a.example/x"],
    ["https://a.example/x_(y).", "https://a.example/x_(y)"],
    ["HTTP://A.example", "HTTP://A.example"],
  ])("%s", (text, address) => {
    const found = parts(text);
    expect(found.map((part) => part.text).join("")).toBe(text);
    expect(found.filter((part) => part.href).map((part) => part.text)).toEqual([address]);
  });

  test.each([
    "javascript:alert(1)",
    "data:text/html,x",
    "ftp://a.example",
    "https://",
    "http://[",
    "plain <b>text</b>",
  ])("%s is no link", (text) => {
    expect(parts(text)).toEqual([{ text }]);
  });
});

describe("faces", () => {
  test.each([
    ["Ada Lovelace", "AL"],
    ["bob", "B"],
    ["jean-luc", "JL"],
    ["😀 x", "😀X"],
    ["  ", "?"],
  ])("%s", (name, letters) => {
    expect(initials(name)).toBe(letters);
  });

  test("the colour of a user is always the same, and one of ten", () => {
    expect(hue("ada")).toBe(hue("ada"));
    for (let i = 0; i < 100; i += 1) expect([0, 1, 2, 3, 4, 5, 6, 7, 8, 9]).toContain(hue(`user-${i}`));
  });
});

describe("times", () => {
  const noon = new Date(2026, 5, 15, 12).getTime();
  test("days", () => {
    expect(day(noon - 11 * 3_600_000, noon)).toBe("Today");
    expect(day(noon - 13 * 3_600_000, noon)).toBe("Yesterday");
    expect(day(noon - 400 * 86_400_000, noon)).toContain("2025");
  });
  test("distances", () => {
    expect([30_000, 300_000, 7_200_000, 200_000_000].map((past) => ago(noon - past, noon))).toEqual([
      "now",
      "5m",
      "2h",
      "2d",
    ]);
  });
});

describe("rows", () => {
  const at = new Date(2026, 5, 15, 12).getTime();
  const said = (seq: number, userId: string, minute: number) =>
    message(seq, { userId, at: at + minute * 60_000 });

  test("group one user's messages, until another speaks or time has passed", () => {
    const found = rows(
      [said(1, "bob", 0), said(2, "bob", 1), said(3, "eve", 2), said(4, "eve", 9)],
      [],
      "ada",
      undefined,
    );
    expect(found.map((row) => (row.kind === "message" ? row.heads : row.kind))).toEqual([
      "day",
      true,
      false,
      true,
      true,
    ]);
  });

  test("the line 'new' stands before the first unread message of somebody else", () => {
    const found = rows([said(1, "bob", 0), said(2, "bob", 1)], [], "ada", 1);
    expect(found.map(({ kind }) => kind)).toEqual(["day", "message", "new", "message"]);
    expect(rows([said(1, "bob", 0), said(2, "ada", 1)], [], "ada", 1).map(({ kind }) => kind)).toEqual([
      "day",
      "message",
      "message",
    ]);
  });

  test("an own message keeps its key from pending to arrived", () => {
    const pending = {
      clientId: "c1",
      room: "lobby",
      text: "x",
      at,
      state: "sending" as const,
      attempts: 0,
      notBefore: 0,
    };
    const before = rows([], [pending], "ada", undefined).at(-1);
    const after = rows([message(1, { userId: "ada", clientId: "c1", at })], [], "ada", undefined).at(-1);
    expect(before?.key).toBe(after?.key);
  });
});

describe("a pasted token", () => {
  const token = (claims: object): string => `h.${btoa(JSON.stringify(claims)).replace(/=+$/, "")}.s`;
  test("tells who and until when", () => {
    expect(fromToken(` ${token({ sub: "ada", name: "Ada", exp: 2_000 })}\n`, 1_000_000)).toMatchObject({
      userId: "ada",
      name: "Ada",
      expiresAt: 2_000_000,
      renewable: false,
    });
  });
  test.each(["", "x", "a.b.c", token({ sub: 1, exp: 2 }), token({ sub: "ada" })])("%s is none", (text) => {
    expect(() => fromToken(text, 0)).toThrow("not a token");
  });
  test("is refused when it has expired", () => {
    expect(() => fromToken(token({ sub: "ada", exp: 1 }), 5_000)).toThrow("expired");
  });
});
