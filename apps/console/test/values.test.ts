// The console's values: paths of calls, places, access, numbers and times.

import { expect, test } from "vitest";

import { Access, type Description } from "../src/access.ts";
import { explain, path } from "../src/api.ts";
import { nearest } from "../src/chart.tsx";
import { endOf } from "../src/end.tsx";
import { distance, duration, number, size } from "../src/format.ts";
import { href, parse } from "../src/place.ts";
import { matches, valueText, type Setting } from "../src/settings.ts";
import { isOpen, needs } from "../src/views/key.tsx";

test("names in paths of calls are encoded, and those that clients rewrite are base64", () => {
  expect(path`/v1/rooms/${"a/b c"}/bans/${"ö?"}`).toBe("/v1/rooms/a%2Fb%20c/bans/%C3%B6%3F");
  expect(path`/v1/rooms/${".."}`).toBe("/v1/rooms/~Li4");
  expect(path`/v1/rooms/${"~x"}`).toBe("/v1/rooms/~fng");
  expect(path`/v1/rooms`).toBe("/v1/rooms");
});

test("a place survives its own address", () => {
  for (const name of ["lobby", "a/b?c#d", "..", "100%", "ö 👋"]) {
    const place = parse(href("rooms", name, { tab: "bans", none: "", also: undefined }));
    expect([place.view, place.name, place.query.toString()]).toEqual(["rooms", name, "tab=bans"]);
  }
  expect(parse("")).toMatchObject({ view: "", name: undefined });
  expect(parse("#/users/%E0%A4%A")).toMatchObject({ view: "users", name: "%E0%A4%A" });
});

const DESCRIPTION: Description = {
  paths: {
    "/api/v1/stats": { get: { security: [{ key: ["stats:read"] }] } },
    "/api/v1/rooms/{room}": {
      get: { security: [{ key: ["rooms:read"] }] },
      put: { security: [{ key: ["rooms:write"] }] },
    },
    "/api/v1/key": { get: {} },
  },
};

test("a key may make the calls of its scopes that the server has", () => {
  const access = new Access({ name: "narrow", scopes: ["rooms:read"] }, DESCRIPTION);
  expect(access.can("get", "/rooms/{room}")).toBe(true);
  expect(access.can("put", "/rooms/{room}")).toBe(false);
  expect(access.can("get", "/stats")).toBe(false);
  expect(access.can("get", "/key")).toBe(true);
  expect(access.can("get", "/audit")).toBe(false);
});

test("what a key lacks for a call is named", () => {
  const access = new Access({ name: "narrow", scopes: ["rooms:read"] }, DESCRIPTION);
  expect(access.missing("get", "/stats")).toEqual(["stats:read"]);
  expect(access.missing("get", "/rooms/{room}")).toEqual([]);
  expect(access.missing("get", "/audit")).toBeUndefined();
  const needing = (...missing: string[][]) => ({ name: "rooms", label: "Rooms", missing });
  expect(needs(needing(["rooms:read"], ["moderation"], ["moderation"]))).toBe("rooms:read or moderation");
  expect(needs(needing(["rooms:read"], []))).toBe("");
  expect([needing(["admin"]), needing(["admin"], []), needing()].map(isOpen)).toEqual([false, true, false]);
});

test("a key of unknown scopes may try every call that the server has", () => {
  const access = new Access(undefined, DESCRIPTION);
  expect(access.can("get", "/stats")).toBe(true);
  expect(access.can("get", "/audit")).toBe(false);
});

test("statuses have texts that say what to do", () => {
  expect(explain(401, undefined, "x")).toMatch(/does not know this key/);
  expect(explain(403, undefined, "This key lacks the scope admin.")).toBe(
    "This key lacks the scope admin.",
  );
  expect(explain(429, "7", "")).toMatch(/Wait 7 s/);
  expect(explain(503, undefined, "")).toMatch(/Try again/);
  expect(explain(418, undefined, "")).toMatch(/418/);
  expect(explain(404, undefined, "there is no such room")).toBe("There is no such room.");
});

test("numbers, sizes and times are short", () => {
  expect([0, 0.034, 1.25, 12_345.6].map(number)).toEqual(["0", "0.03", "1.3", "12,346"]);
  expect([0, 999, 1_500, 2_000_000].map(size)).toEqual(["0 B", "999 B", "1.5 kB", "2 MB"]);
  expect([0, 999, 61_000, 3_600_000, 90_061_000].map(duration)).toEqual([
    "0 s",
    "0 s",
    "1 min 1 s",
    "1 h",
    "1 d 1 h",
  ]);
  expect(distance(1_000, 61_000)).toBe("1 min ago");
  expect(distance(61_000, 1_000)).toBe("in 1 min");
});

test("the end of a ban is in the future or is refused", () => {
  expect(endOf({ kind: "none", date: "" }, 5)).toBeUndefined();
  expect(endOf({ kind: "hour", date: "" }, 5)).toBe(3_600_005);
  const now = new Date("2026-01-01T12:00").getTime();
  expect(endOf({ kind: "date", date: "2026-01-01T13:00" }, now)).toBe(now + 3_600_000);
  for (const date of ["", "2025-12-31T12:00"])
    expect(endOf({ kind: "date", date }, now)).toBeInstanceOf(Error);
});

test("the pointer on a chart chooses the nearest sample", () => {
  const samples = [0, 10, 20].map((at) => ({ at, value: at }));
  expect([-5, 4, 6, 19, 99].map((at) => nearest(samples, at))).toEqual([0, 0, 1, 2, 2]);
});

test("settings have a text, and a filter finds them by words of key and value", () => {
  const origins: Setting = { key: "http.origins", value: ["https://a", "https://b"], source: "file" };
  const secret: Setting = { key: "auth.secret", set: true, source: "environment" };
  expect(valueText(origins)).toBe("https://a, https://b");
  expect(valueText(secret)).toBe("set");
  expect(valueText({ ...secret, set: false })).toBe("not set");
  expect([false, 0, "", []].map((value) => valueText({ ...origins, value }))).toEqual([
    "false",
    "0",
    "",
    "",
  ]);
  for (const filter of ["", "ORIGINS", "http https://b", " a "]) expect(matches(origins, filter)).toBe(true);
  expect(matches(origins, "http secret")).toBe(false);
});
