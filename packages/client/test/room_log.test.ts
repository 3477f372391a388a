import { describe, expect, test } from "vitest";

import type { Change, LogAnswer, Message } from "../src/contract.ts";
import type { SentMessage } from "../src/message_window.ts";
import { RoomLog, type Entry } from "../src/room_log.ts";

const EPOCH = "e1";

/** A log of `size` entries: messages, and edits of earlier messages. */
function makeLog(size: number, random: () => number): Entry[] {
  const entries: Entry[] = [];
  const seqs: number[] = [];
  for (let number = 1; number <= size; number++) {
    if (seqs.length > 0 && random() < 0.3) {
      const seq = seqs[Math.floor(random() * seqs.length)] as number;
      const text = `edit ${number}`;
      entries.push({
        number,
        change: { type: "edited", seq, logSeq: number, userId: "a", at: number, text },
      });
    } else {
      entries.push({ number, message: message(number) });
      seqs.push(number);
    }
  }
  return entries;
}

function message(seq: number): Message {
  return { id: `id-${seq}`, room: "r", seq, userId: "a", text: `text ${seq}`, at: seq };
}

/** The server's view of a log: pages of it, with messages in their present state. */
class Source {
  constructor(
    readonly entries: Entry[],
    readonly epoch = EPOCH,
  ) {}

  state(upTo: number): Map<number, Message> {
    const messages = new Map<number, Message>();
    for (const entry of this.entries.slice(0, upTo)) {
      if ("message" in entry) messages.set(entry.number, entry.message);
      else {
        const old = messages.get(entry.change.seq) as Message;
        messages.set(entry.change.seq, {
          ...old,
          text: entry.change.text ?? "",
          editedAt: entry.change.at,
        });
      }
    }
    return messages;
  }

  /** The messages from `from` on, as a log with every entry up to `upTo` shows them. */
  shown(upTo: number, from: number): SentMessage[] {
    const messages = [...this.state(upTo).values()].filter(({ seq }) => seq >= from);
    return messages.map((message) => ({ ...message, state: "sent" }));
  }

  /** The entries after `since`, read when `head` was the newest entry. */
  after(since: number, head: number, limit: number): LogAnswer {
    const state = this.state(head);
    const some = this.entries.slice(since, Math.min(head, since + limit));
    return {
      room: "r",
      epoch: this.epoch,
      head,
      messages: some.flatMap((entry) => ("message" in entry ? [state.get(entry.number) as Message] : [])),
      changes: some.flatMap((entry): Change[] => ("change" in entry ? [entry.change] : [])),
      more: since + limit < head,
      reset: false,
    };
  }

  newest(head: number, limit: number): LogAnswer {
    const all = [...this.state(head).values()];
    const messages = all.slice(-limit);
    return {
      room: "r",
      epoch: this.epoch,
      head,
      messages,
      changes: [],
      more: messages.length < all.length,
      reset: false,
    };
  }
}

/** Random numbers from a seed. */
function seeded(seed: number): () => number {
  let state = seed;
  return () => {
    state = (Math.imul(state, 1_664_525) + 1_013_904_223) >>> 0;
    return state / 2 ** 32;
  };
}

describe("the local log", () => {
  test("holds the newest page of the first join, and live entries after it", () => {
    const source = new Source(makeLog(30, seeded(1)));
    const log = new RoomLog();
    log.answered(source.newest(20, 5));
    for (const entry of source.entries.slice(20)) log.receive(entry);
    expect(log.upTo).toBe(30);
    expect(log.gap).toBeUndefined();
    expect(log.messages).toEqual(source.shown(30, log.from));
  });

  test("keeps live entries that arrive before the join's answer", () => {
    const source = new Source(makeLog(12, () => 1));
    const log = new RoomLog();
    log.receive(source.entries[10] as Entry);
    log.receive(source.entries[11] as Entry);
    log.answered(source.newest(10, 50));
    expect(log.messages.map(({ seq }) => seq)).toEqual([1, 2, 3, 4, 5, 6, 7, 8, 9, 10, 11, 12]);
  });

  test("does not let a live entry hide a missing page", () => {
    const source = new Source(makeLog(121, () => 1));
    const log = new RoomLog();
    log.answered(source.newest(5, 50));
    log.answered({ ...source.after(5, 120, 50), head: 120 });
    log.receive(source.entries[120] as Entry);
    expect(log.upTo).toBe(55);
    expect(log.gap).toBe(55);
  });

  test("starts over on a reset", () => {
    const log = new RoomLog();
    log.answered(new Source(makeLog(10, () => 1)).newest(10, 50));
    const other = new Source(
      makeLog(3, () => 1),
      "e2",
    );
    expect(log.answered({ ...other.newest(3, 50), reset: true })).toBe(true);
    expect([log.epoch, log.upTo, log.messages.length]).toEqual(["e2", 3, 3]);
  });

  test("continues from a saved log", () => {
    const source = new Source(makeLog(40, seeded(3)));
    const log = new RoomLog();
    log.answered(source.newest(30, 50));
    const restored = new RoomLog();
    restored.restore(log.save(5) ?? expect.fail("nothing saved"));
    restored.answered(source.after(30, 40, 200));
    expect(restored.messages).toEqual(source.shown(40, restored.from));
    expect(restored.hasOlder).toBe(true);
  });

  test("ends with the server's state for any loss, repetition and order of live entries", () => {
    for (let seed = 1; seed <= 300; seed++) {
      const random = seeded(seed);
      const source = new Source(makeLog(40 + Math.floor(random() * 60), random));
      const size = source.entries.length;
      const log = new RoomLog();
      const check = () => log.laws.handedOut(log.messages, log.upTo);
      let head = Math.floor(random() * 20);
      log.answered(source.newest(head, 1 + Math.floor(random() * 10)));
      while (head < size) {
        head = Math.min(size, head + 1 + Math.floor(random() * 8));
        // The connection loses some entries, repeats others, and the tab may see them out of order.
        const received = source.entries.slice(Math.max(0, head - 10), head).filter(() => random() < 0.6);
        if (random() < 0.3) received.reverse();
        for (const entry of received) log.receive(entry);
        if (random() < 0.3) log.answered(source.after(log.upTo, head, 1 + Math.floor(random() * 20)));
        if (random() < 0.1) log.disconnected();
        if (random() < 0.7) check();
      }
      log.answered(source.after(log.upTo, size, 7));
      for (let gap = log.gap; gap !== undefined; gap = log.gap) {
        const before = log.head;
        log.newer(source.after(gap, size, 7), before);
        check();
      }
      check();
      expect(log.messages, `seed ${seed}`).toEqual(source.shown(size, log.from));
      expect(log.laws.counts.violations, `seed ${seed}`).toEqual({ ascending: 0, dense: 0, once: 0 });
    }
  });
});

describe("a long log", () => {
  const many = (from: number, to: number): Entry[] =>
    Array.from({ length: to - from + 1 }, (_, at) => ({ number: from + at, message: message(from + at) }));
  const edit = (logSeq: number, seq: number): Entry => ({
    number: logSeq,
    change: { type: "edited", seq, logSeq, userId: "a", at: logSeq, text: `edit ${logSeq}` },
  });
  const page = (from: number, to: number): LogAnswer => ({
    room: "r",
    epoch: EPOCH,
    head: to,
    messages: Array.from({ length: to - from + 1 }, (_, at) => message(from + at)),
    changes: [],
    more: from > 1,
    reset: false,
  });

  test("is copied once for each state that a view has read, however many entries arrive between", () => {
    const log = new RoomLog();
    log.answered(page(1, 2_000));
    expect(log.messages).toHaveLength(2_000);
    for (const entry of many(2_001, 3_000)) log.receive(entry);
    log.newer({ ...page(3_001, 3_200), more: false }, 3_200);
    for (let logSeq = 3_201; logSeq <= 3_300; logSeq++) log.receive(edit(logSeq, logSeq - 3_200));
    expect(log.copies).toBe(1);
    expect(log.messages).toHaveLength(3_200);
    log.receive(edit(3_301, 3_200));
    expect(log.copies).toBe(2);
    expect(log.messages.at(-1)?.text).toBe("edit 3301");
  });

  test("never changes an array that a view has read", () => {
    const log = new RoomLog();
    log.answered(page(101, 200));
    const steps = [
      () => log.receive(many(201, 201)[0] as Entry),
      () => log.receive(edit(202, 150)),
      () => log.older(page(1, 100)),
      () => log.newer({ ...page(203, 300), more: false }, 300),
      () => many(301, 6_000).forEach((entry) => log.receive(entry)),
      () => log.clear(),
    ];
    for (const step of steps) {
      const read = log.messages;
      const before = [...read];
      step();
      expect(read).toEqual(before);
      expect(log.messages).not.toBe(read);
      expect(log.messages).toBe(log.messages);
    }
  });

  test("drops the oldest messages of a room that stays open, and keeps those that the user loads", () => {
    const log = new RoomLog();
    log.answered(page(9_951, 10_000));
    for (const entry of many(10_001, 20_000)) log.receive(entry);
    expect(log.messages.length).toBeGreaterThanOrEqual(5_000);
    expect(log.messages.length).toBeLessThanOrEqual(5_500);
    expect([log.messages.at(-1)?.seq, log.hasOlder, log.from]).toEqual([
      20_000,
      true,
      log.messages[0]?.seq,
    ]);
    const from = log.from;
    for (let to = from - 1; to > 1; to -= 200) log.older(page(Math.max(1, to - 199), to));
    expect([log.messages.length, log.from, log.hasOlder]).toEqual([20_000, 1, false]);
    for (const entry of many(20_001, 20_200)) log.receive(entry);
    expect([log.messages.length, log.from]).toEqual([20_200, 1]);
  });
});
