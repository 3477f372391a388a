// Messages as the server would send them.

import type { Message } from "../src/contract.ts";

export function message(seq: number, more: Partial<Message> = {}): Message {
  return { id: `m${seq}`, room: "lobby", seq, userId: "bob", text: `text ${seq}`, at: seq * 1000, ...more };
}

export function range(from: number, to: number): Message[] {
  return Array.from({ length: to - from + 1 }, (_, i) => message(from + i));
}
