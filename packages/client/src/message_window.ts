// The messages of a window, by seq. Arrays that were handed out never change: the next change copies them.

import { changed } from "./changes.ts";
import type { Change, Message } from "./contract.ts";

/** A message that the server has stored, as snapshots show it. */
export type SentMessage = Message & { readonly state: "sent" };

export class MessageWindow {
  #messages: SentMessage[] = [];
  /** True once the array was handed out. */
  #shared = false;
  #copies = 0;

  get length(): number {
    return this.#messages.length;
  }

  /** The seq of the first message, or undefined if there is none. */
  get first(): number | undefined {
    return this.#messages[0]?.seq;
  }

  /** The messages. The array keeps its identity until the next change. */
  get all(): readonly SentMessage[] {
    this.#shared = true;
    return this.#messages;
  }

  /** How often the array was copied: at most once between two reads of `all`. */
  get copies(): number {
    return this.#copies;
  }

  replace(messages: readonly Message[]): void {
    this.#messages = messages.map(asSent);
    this.#shared = false;
  }

  append(message: Message): void {
    this.#own().push(asSent(message));
  }

  prepend(messages: readonly Message[]): void {
    if (messages.length === 0) return;
    this.#messages = messages.map(asSent).concat(this.#messages);
    this.#shared = false;
  }

  /** Applies a change to its message, if the window has it. */
  change(change: Change): void {
    const at = this.#find(change.seq);
    const message = this.#messages[at];
    if (!message) return;
    const next = changed(message, change);
    if (next !== message) this.#own()[at] = asSent(next);
  }

  /** Removes the oldest messages beyond `most`, and returns their seqs. */
  trim(most: number): number[] {
    const surplus = this.#messages.length - most;
    return surplus > 0
      ? this.#own()
          .splice(0, surplus)
          .map(({ seq }) => seq)
      : [];
  }

  /** The array, which nobody else has. */
  #own(): SentMessage[] {
    if (this.#shared) {
      this.#messages = this.#messages.slice();
      this.#shared = false;
      this.#copies += 1;
    }
    return this.#messages;
  }

  /** The index of the message with this seq, or -1. */
  #find(seq: number): number {
    let [low, high] = [0, this.#messages.length - 1];
    while (low <= high) {
      const middle = (low + high) >> 1;
      const found = this.#messages[middle]?.seq ?? Infinity;
      if (found === seq) return middle;
      if (found < seq) low = middle + 1;
      else high = middle - 1;
    }
    return -1;
  }
}

const asSent = (message: Message): SentMessage => ({ ...message, state: "sent" });
