// Tells a room that the user is typing: at most each two seconds, and over when they stop.

import type { Clock } from "../clock.ts";
import type { Request } from "../contract.ts";

const REPEAT_MS = 2_000;
const IDLE_MS = 5_000;

export class Typist {
  private room: string | undefined;
  private toldAt = 0;
  private callOff: (() => void) | undefined;

  constructor(
    private readonly request: Request,
    private readonly clock: Clock,
  ) {}

  /** A key was pressed in `room`, and there is text. */
  typed(room: string): void {
    if (this.room !== room) this.stop();
    const now = this.clock.now();
    this.callOff?.();
    this.callOff = this.clock.after(IDLE_MS, () => this.stop());
    if (this.room === room && now - this.toldAt < REPEAT_MS) return;
    this.room = room;
    this.toldAt = now;
    this.tell("chat:typing_start", room);
  }

  /** The text is gone without being sent, or the user went elsewhere. */
  stop(): void {
    if (this.room !== undefined) this.tell("chat:typing_stop", this.room);
    this.sent();
  }

  /** The text was sent, which ends typing for the others by itself. */
  sent(): void {
    this.callOff?.();
    this.room = undefined;
  }

  private tell(event: "chat:typing_start" | "chat:typing_stop", room: string): void {
    // Lost words about typing are not worth a second try.
    this.request(event, { room }).catch(() => undefined);
  }
}
