// Takes messages from the outbox to the server, each room in order, one in flight per room, until they are
// acknowledged or have failed for good.

import type { Clock } from "../clock.ts";
import { failureOf, type Request } from "../contract.ts";
import type { Outbox, Pending } from "../state/outbox.ts";
import { newId } from "./ids.ts";

export interface SendingParts {
  outbox: Outbox;
  request: Request;
  clock: Clock;
  /** The room is joined on a live connection. */
  ready: (room: string) => boolean;
  changed: () => void;
}

export class Sending {
  private readonly busy = new Set<string>();
  private readonly waiting = new Map<string, () => void>();

  constructor(private readonly parts: SendingParts) {}

  /** Puts a text into the outbox and on its way. False if the outbox is full. */
  send(room: string, text: string, mentions: string[] = []): boolean {
    const { outbox, clock } = this.parts;
    if (outbox.full) return false;
    outbox.add(newId(), room, text, clock.now(), mentions);
    this.wake(room);
    return true;
  }

  retry(entry: { clientId: string; room: string }): void {
    this.parts.outbox.retry(entry.clientId);
    this.wake(entry.room);
  }

  /** Sends what is due in a room: called when it was joined, and whenever something was written. */
  wake(room: string): void {
    this.waiting.get(room)?.();
    this.waiting.delete(room);
    this.parts.changed();
    if (!this.busy.has(room)) void this.drain(room);
  }

  /** Calls off all timers. */
  stop(): void {
    for (const callOff of this.waiting.values()) callOff();
    this.waiting.clear();
  }

  private async drain(room: string): Promise<void> {
    const { outbox, clock, ready } = this.parts;
    this.busy.add(room);
    for (let entry = outbox.next(room); entry && ready(room); entry = outbox.next(room)) {
      const wait = entry.notBefore - clock.now();
      if (wait > 0) {
        this.waiting.set(
          room,
          clock.after(wait, () => this.wake(room)),
        );
        break;
      }
      await this.attempt(entry);
    }
    this.busy.delete(room);
  }

  private async attempt({ clientId, room, text, mentions }: Pending): Promise<void> {
    const { outbox, request, clock, changed } = this.parts;
    try {
      const { seq } = await request("chat:send_message", {
        room,
        text,
        clientId,
        ...(mentions ? { mentions } : {}),
      });
      outbox.acknowledged(clientId, seq);
    } catch (thrown) {
      const failure = failureOf(thrown);
      // Without a connection nothing was tried: the next join wakes the room.
      if (failure.code !== "offline") outbox.refused(clientId, failure, clock.now(), Math.random());
    }
    changed();
  }
}
