import { describe, expect, test } from "vitest";
import type { JoinAnswer } from "../src/contract.ts";
import { Room } from "../src/state/room.ts";
import { Rooms, roomName } from "../src/state/rooms.ts";
import { Typing } from "../src/state/typing.ts";
import { memoryShelf } from "./clock.ts";
import { message, range } from "./messages.ts";

function answer(more: Partial<JoinAnswer> = {}): JoinAnswer {
  return { room: "lobby", epoch: "e1", head: 3, messages: range(1, 3), more: false, reset: false, readSeq: 3, unread: 0, ...more };
}

describe("a room", () => {
  test("counts what others say while nobody watches, and not one's own words", () => {
    const room = new Room("lobby");
    room.joined(answer(), false);
    room.receive(message(4), "ada", false, true);
    room.receive(message(4), "ada", false, true);
    room.receive(message(5, { userId: "ada" }), "ada", false, true);
    room.receive(message(6), "ada", true, true);
    expect(room.unread).toBe(1);
    expect(room.newAfter).toBe(3);
    expect(room.latest?.seq).toBe(6);
  });

  test("marks only grow, the user's own and the others'", () => {
    const room = new Room("lobby");
    room.joined(answer({ readSeq: 2, unread: 1 }), false);
    expect(room.read(3)).toBe(true);
    expect(room.read(1)).toBe(false);
    expect(room.readSeq).toBe(3);
    room.mark("bob", 3);
    room.mark("bob", 1);
    expect(room.readers(3)).toEqual(["bob"]);
    expect(room.readers(4)).toEqual([]);
  });

  test("a mark of the user's other device leaves only what lies behind it", () => {
    const room = new Room("lobby");
    room.joined(answer({ readSeq: 0, unread: 3 }), false);
    room.readElsewhere(2, "ada");
    expect(room.unread).toBe(1);
  });

  test("continues where it stood, and starts over when the log was reset", () => {
    const room = new Room("lobby");
    expect(room.resumePoint()).toBeUndefined();
    room.joined(answer(), false);
    expect(room.resumePoint()).toEqual({ since: 3, epoch: "e1" });
    expect(room.joined(answer({ epoch: "e1", head: 4, messages: [message(4)] }), true)).toBe(false);
    expect(room.timeline.messages).toHaveLength(4);
    expect(room.joined(answer({ epoch: "e2", head: 1, messages: [], reset: true, readSeq: 0, unread: 1 }), true)).toBe(true);
    expect(room.timeline.messages).toEqual([]);
    expect(room.unread).toBe(1);
    expect(room.readSeq).toBe(0);
  });

  test("the line 'new' stands before the first unread message, but not for a newcomer", () => {
    const room = new Room("lobby");
    room.joined(answer({ readSeq: 2, unread: 1 }), false);
    room.enter();
    expect(room.newAfter).toBe(2);
    const fresh = new Room("lobby");
    fresh.joined(answer({ readSeq: 0, unread: 3 }), false);
    fresh.enter();
    expect(fresh.newAfter).toBeUndefined();
  });
});

describe("typing", () => {
  test("ends by itself when the server's word is lost", () => {
    const typing = new Typing();
    typing.start("bob", 0);
    typing.start("eve", 5_000);
    expect(typing.active(7_999)).toEqual(["bob", "eve"]);
    expect(typing.active(8_000)).toEqual(["eve"]);
    expect(typing.nextEnd()).toBe(13_000);
  });
});

describe("the list of rooms", () => {
  test("starts with the lobby, and is kept", () => {
    const shelf = memoryShelf();
    const rooms = new Rooms(shelf, "rooms.ada");
    rooms.add("design");
    rooms.openName = "lobby";
    expect(rooms.remove("lobby")).toBe("design");
    expect(new Rooms(shelf, "rooms.ada").all.map(({ name }) => name)).toEqual(["design"]);
  });

  test("is bounded", () => {
    const rooms = new Rooms(memoryShelf(), "rooms.ada");
    for (let i = 0; i < 200; i += 1) rooms.add(`room-${i}`);
    expect(rooms.all).toHaveLength(100);
    expect(rooms.add("one-more")).toBeUndefined();
  });

  test("names are made fit", () => {
    expect(roomName("  # design  review ")).toBe("design-review");
    expect(roomName("##")).toBe("");
    expect(roomName("x".repeat(100))).toHaveLength(64);
  });
});
