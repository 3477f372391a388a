import { describe, expect, test } from "vitest";
import type { JoinAnswer } from "../src/contract.ts";
import { Room } from "../src/state/room.ts";
import { Rooms, roomName } from "../src/state/rooms.ts";
import { Typing } from "../src/state/typing.ts";
import { memoryShelf } from "./clock.ts";
import { message, range } from "./messages.ts";

function answer(more: Partial<JoinAnswer> = {}): JoinAnswer {
  return {
    room: "lobby",
    epoch: "e1",
    head: 3,
    messages: range(1, 3),
    changes: [],
    more: false,
    reset: false,
    readSeq: 3,
    unread: 0,
    mentions: 0,
    ...more,
  };
}

describe("a room", () => {
  test("counts other users' messages while the room is not watched, not one's own", () => {
    const room = new Room("lobby");
    room.joined(answer(), false, "ada");
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
    room.joined(answer({ readSeq: 2, unread: 1 }), false, "ada");
    expect(room.read(3)).toBe(true);
    expect(room.read(1)).toBe(false);
    expect(room.readSeq).toBe(3);
    room.mark("bob", 3);
    room.mark("bob", 1);
    expect(room.readers(3)).toEqual(["bob"]);
    expect(room.readers(4)).toEqual([]);
  });

  test("a read mark from another device leaves only later messages unread", () => {
    const room = new Room("lobby");
    room.joined(answer({ readSeq: 0, unread: 3 }), false, "ada");
    room.readElsewhere(2, "ada");
    expect(room.unread).toBe(1);
  });

  test("continues where it stood, and starts over when the log was reset", () => {
    const room = new Room("lobby");
    expect(room.resumePoint()).toBeUndefined();
    room.joined(answer(), false, "ada");
    expect(room.resumePoint()).toEqual({ since: 3, epoch: "e1" });
    expect(room.joined(answer({ epoch: "e1", head: 4, messages: [message(4)] }), true, "ada")).toBe(false);
    expect(room.timeline.messages).toHaveLength(4);
    expect(
      room.joined(
        answer({ epoch: "e2", head: 1, messages: [], reset: true, readSeq: 0, unread: 1 }),
        true,
        "ada",
      ),
    ).toBe(true);
    expect(room.timeline.messages).toEqual([]);
    expect(room.unread).toBe(1);
    expect(room.readSeq).toBe(0);
  });

  test("the line 'new' stands before the first unread message, but not for a newcomer", () => {
    const room = new Room("lobby");
    room.joined(answer({ readSeq: 2, unread: 1 }), false, "ada");
    room.enter();
    expect(room.newAfter).toBe(2);
    const fresh = new Room("lobby");
    fresh.joined(answer({ readSeq: 0, unread: 3 }), false, "ada");
    fresh.enter();
    expect(fresh.newAfter).toBeUndefined();
  });
});

describe("what becomes of messages", () => {
  const deleted = (seq: number, logSeq: number) =>
    ({ type: "deleted", seq, logSeq, userId: "bob", at: 9_000 }) as const;

  test("an unread message that is deleted no longer counts, and a resume goes on behind the change", () => {
    const room = new Room("lobby");
    room.joined(answer(), false, "ada");
    room.receive(message(4), "ada", false, true);
    room.receive(message(5), "ada", false, true);
    room.change(deleted(5, 6), "ada");
    room.change(deleted(5, 6), "ada");
    room.change(deleted(2, 7), "ada");
    expect(room.unread).toBe(1);
    expect(room.latest?.deleted).toBe(true);
    expect(room.resumePoint()?.since).toBe(7);
  });

  test("a message that is deleted is not edited any more", () => {
    const room = new Room("lobby");
    room.joined(answer(), false, "ada");
    room.editing = 3;
    room.change(deleted(2, 4), "ada");
    expect(room.editing).toBe(3);
    room.change(deleted(3, 5), "ada");
    expect(room.editing).toBeUndefined();
  });

  test("a returning user sees how many messages they missed, and where those begin", () => {
    const room = new Room("lobby");
    room.joined(answer(), false, "ada");
    const missed = [
      message(4),
      message(5, { userId: "ada" }),
      message(6, { deleted: true, text: "" }),
      message(7),
    ];
    room.joined(answer({ head: 9, messages: missed, changes: [deleted(3, 8)], unread: 2 }), true, "ada");
    expect(room.away).toEqual({ after: 3, missed: 2 });
    expect(room.newAfter).toBe(3);
    expect(room.timeline.messages.find(({ seq }) => seq === 3)?.deleted).toBe(true);
  });

  test("an answer that ends early gives the number by its unread count", () => {
    const room = new Room("lobby");
    room.joined(answer(), false, "ada");
    room.joined(answer({ head: 900, messages: range(4, 5), more: true, unread: 800 }), true, "ada");
    expect(room.away?.missed).toBe(800);
  });

  test("a break in which nothing was said is not worth a word", () => {
    const room = new Room("lobby");
    room.joined(answer(), false, "ada");
    room.joined(answer({ head: 4, messages: [], changes: [deleted(1, 4)] }), true, "ada");
    expect(room.away).toBeUndefined();
  });

  test("is also what a session that goes on brings before the join", () => {
    const room = new Room("lobby");
    room.joined(answer(), false, "ada");
    room.disconnected();
    for (const seq of [4, 5]) room.receive(message(seq), "ada", true, true);
    room.receive(message(6, { userId: "ada" }), "ada", true, true);
    room.joined(answer({ head: 7, messages: [message(7)] }), true, "ada");
    expect(room.away).toEqual({ after: 3, missed: 3 });
    expect(room.newAfter).toBe(3);
    room.disconnected();
    room.receive(message(8), "ada", true, true);
    expect(room.away).toEqual({ after: 7, missed: 1 });
  });
});

describe("mentions", () => {
  test("are counted among the unread, until they are read or gone", () => {
    const room = new Room("lobby");
    room.joined(answer({ unread: 1, mentions: 1 }), false, "ada");
    room.receive(message(4, { mentions: ["ada", "eve"] }), "ada", false, true);
    room.receive(message(5, { mentions: ["eve"] }), "ada", false, true);
    room.receive(message(6, { mentions: ["ada"] }), "ada", false, true);
    expect([room.unread, room.mentions]).toEqual([4, 3]);
    room.change({ type: "deleted", seq: 6, logSeq: 7, userId: "bob", at: 0 }, "ada");
    expect([room.unread, room.mentions]).toEqual([3, 2]);
    room.readElsewhere(4, "ada");
    expect([room.unread, room.mentions]).toEqual([1, 0]);
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
