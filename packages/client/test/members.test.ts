// The list of a room's members, without a server.

import { expect, test } from "vitest";

import { MemberList } from "../src/members.ts";

test("a new profile shows on a member, online or not, and is nothing to others", () => {
  const list = new MemberList();
  const members = [
    { userId: "ann", name: "Ann", avatar: null, role: "member", readSeq: 3, status: "offline" },
    { userId: "bob", name: "Bob", avatar: null, role: "member", readSeq: 0, status: "online" },
  ] as const;
  list.setListed(members, false);
  list.setOnline([{ userId: "bob", name: "Bob", avatar: null, status: "online" }]);
  for (const userId of ["ann", "bob"])
    expect(list.rename(userId, { name: `Dr. ${userId}`, avatar: "https://x.test/a.png" })).toBe(true);
  expect(list.rename("carol", { name: "Carol", avatar: null })).toBe(false);
  expect(list.all().map(({ userId, name, avatar }) => [userId, name, avatar])).toEqual([
    ["bob", "Dr. bob", "https://x.test/a.png"],
    ["ann", "Dr. ann", "https://x.test/a.png"],
  ]);
});
