import { describe, expect, test } from "vitest";
import { OnlineUsers } from "../src/chat/online_users.ts";
import { Showing } from "../src/chat/showing.ts";
import { RequestError, type Choice, type OnlineUser, type Request } from "../src/contract.ts";
import { choiceOf, statusLine, statusText } from "../src/format/statuses.ts";
import { People } from "../src/state/people.ts";
import { Rooms } from "../src/state/rooms.ts";
import { memoryShelf, settle, TestClock } from "./clock.ts";

function scene(answers: OnlineUser[][]): {
  onlineUsers: OnlineUsers;
  rooms: Rooms;
  clock: TestClock;
  asked: string[];
} {
  const clock = new TestClock();
  const rooms = new Rooms(memoryShelf(), "rooms");
  for (const name of ["lobby", "design"]) rooms.add(name);
  rooms.openName = "lobby";
  const asked: string[] = [];
  const request = (async (_event: string, { room }: { room: string }) => {
    asked.push(room);
    return { room, users: answers.shift() ?? [] };
  }) as unknown as Request;
  const onlineUsers = new OnlineUsers({ rooms, people: new People(), request, clock, changed: () => undefined });
  return { onlineUsers, rooms, clock, asked };
}

describe("other users' statuses", () => {
  test("changes in every room where they are known, and asks for the list where they are not", async () => {
    const { onlineUsers, rooms, clock, asked } = scene([
      [{ userId: "bob", name: "Bob" }],
      [{ userId: "bob" }, { userId: "eve", status: "busy" }],
    ]);
    const lobby = rooms.get("lobby");
    if (lobby) onlineUsers.refresh(lobby);
    await clock.pass(1_000);
    onlineUsers.showsAs("bob", { status: "away", text: "Lunch" });
    expect(lobby?.online.get("bob")).toEqual({ userId: "bob", name: "Bob", status: "away", text: "Lunch" });
    onlineUsers.showsAs("eve", { status: "busy" });
    onlineUsers.showsAs("eve", { status: "busy" });
    await clock.pass(1_000);
    expect([asked, lobby?.online.get("eve")?.status]).toEqual([["lobby", "lobby"], "busy"]);
  });

  test("the invisible are in no list", async () => {
    const { onlineUsers, rooms, clock } = scene([[{ userId: "me" }, { userId: "bob" }]]);
    const lobby = rooms.get("lobby");
    if (lobby) onlineUsers.refresh(lobby);
    await clock.pass(1_000);
    onlineUsers.showsAs("me", { status: "invisible" });
    expect([...(lobby?.online.keys() ?? [])]).toEqual(["bob"]);
  });
});

describe("what the user shows as", () => {
  test("is the acknowledged choice, another device's choice, and online again with each connection", async () => {
    const told: Choice[] = [];
    const failures: string[] = [];
    let refuse = false;
    const request = (async () => {
      if (refuse) throw new RequestError({ code: "rate_limited", message: "slow down", retryable: true });
      return {};
    }) as unknown as Request;
    const showing = new Showing({
      request,
      chosen: (choice) => told.push(choice),
      failed: (words) => failures.push(words),
    });
    await showing.choose({ status: "busy", text: "Deep work" });
    expect(showing.choice).toEqual({ status: "busy", text: "Deep work" });
    refuse = true;
    await showing.choose({ status: "away" });
    expect([showing.choice.status, failures]).toEqual(["busy", ["Could not set your status: slow down"]]);
    showing.told({ status: "invisible", text: null });
    expect(showing.choice).toEqual({ status: "invisible" });
    showing.begin();
    await settle();
    expect([showing.choice, told.map(({ status }) => status)]).toEqual([
      { status: "online" },
      ["busy", "invisible"],
    ]);
  });

  test("in words: nothing for plain online", () => {
    expect(statusLine({ status: "online", text: null })).toBe("");
    expect(statusLine({ status: "online", text: "In Rome" })).toBe("In Rome");
    expect(statusLine({ status: "busy" })).toBe("Busy");
    expect(statusLine({ status: "away", text: "Lunch" })).toBe("Away · Lunch");
    expect(statusText("  two \n lines ")).toBe("two lines");
    expect([...statusText("😀".repeat(200))]).toHaveLength(100);
    expect([choiceOf("away", ""), choiceOf("away", "x")]).toEqual([
      { status: "away" },
      { status: "away", text: "x" },
    ]);
  });
});
