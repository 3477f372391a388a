// The page's values: rooms in addresses, typed names, statuses, tokens.

import { describe, expect, test } from "vitest";

import { addressOf, addressed, roomName } from "../src/rooms.ts";
import { fromToken, kept, SignInError } from "../src/session.ts";
import { statusLine, statusText } from "../src/statuses.ts";

describe("rooms", () => {
  test("survive the way through an address", () => {
    for (const room of ["lobby", "a b", "50%", "#x", "日本"]) expect(addressed(addressOf(room))).toBe(room);
    expect([addressed(""), addressed("#"), addressed("#%E0%A4%A")]).toEqual(["", "", ""]);
  });

  test("typed by hand lose their mark and their blanks", () => {
    expect(roomName("  ## tea  time ")).toBe("tea-time");
    expect(roomName("#")).toBe("");
    expect(roomName("x".repeat(100))).toHaveLength(64);
  });
});

describe("a status in words", () => {
  test("names the status unless it is plain online with a text", () => {
    expect(statusLine({ status: "online", text: null })).toBe("Online");
    expect(statusLine({ status: "online", text: "here" })).toBe("here");
    expect(statusLine({ status: "away", text: "lunch" })).toBe("Away · lunch");
  });

  test("is one line within the server's limit", () => {
    expect(statusText("  a \n b ")).toBe("a b");
    expect([...statusText("😀".repeat(150))]).toHaveLength(100);
  });
});

describe("a pasted token", () => {
  const token = (claims: object): string =>
    `x.${Buffer.from(JSON.stringify(claims)).toString("base64url")}.x`;

  test("names its user and its end", () => {
    expect(fromToken(`${token({ sub: "ada", name: "Ada ü", exp: 2_000 })}\n`, 1_000_000)).toMatchObject({
      userId: "ada",
      name: "Ada ü",
      expiresAt: 2_000_000,
      renewable: false,
    });
  });

  test("is refused in words if it is none, or has expired", () => {
    for (const text of ["", "x", "a.b.c", token({ sub: "ada" }), token({ sub: "ada", exp: 1 })])
      expect(() => fromToken(text, 1_000_000)).toThrow(SignInError);
  });

  test("that the browser kept in another form is dropped", () => {
    const shelf = (value: unknown) => ({
      read: () => value,
      write: () => undefined,
      remove: () => undefined,
    });
    for (const value of [undefined, null, 1, {}, { token: "x", userId: 1, expiresAt: 1 }])
      expect(kept(shelf(value))).toBeUndefined();
    const session = { token: "t", userId: "u", name: "n", expiresAt: 1, renewable: true };
    expect(kept(shelf(session))).toEqual(session);
  });
});
