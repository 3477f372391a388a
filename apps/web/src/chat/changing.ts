// Sends edits, deletes and reactions to the server. The changed message comes back as an event, to all
// clients alike.

import { failureOf, type Message, type Request } from "../contract.ts";
import { reacted } from "../state/changes.ts";
import { newId } from "./ids.ts";

export interface ChangingParts {
  request: Request;
  me: () => string;
  /** Something could not be done; for the user. */
  failed: (words: string) => void;
}

export class Changing {
  constructor(private readonly parts: ChangingParts) {}

  /** True if the message says so now. */
  edit({ room, seq }: Message, text: string): Promise<boolean> {
    return this.ask("Could not change the message", (request) =>
      request("chat:edit_message", { room, seq, text, clientId: newId() }),
    );
  }

  delete({ room, seq }: Message): Promise<boolean> {
    return this.ask("Could not delete the message", (request) =>
      request("chat:delete_message", { room, seq, clientId: newId() }),
    );
  }

  /** Adds the user's reaction, or takes it back if it is there. */
  react(message: Message, emoji: string): Promise<boolean> {
    const { room, seq } = message;
    const remove = reacted(message, emoji, this.parts.me());
    return this.ask("Could not react", (request) => request("chat:react", { room, seq, emoji, remove }));
  }

  private async ask(what: string, work: (request: Request) => Promise<unknown>): Promise<boolean> {
    try {
      await work(this.parts.request);
      return true;
    } catch (thrown) {
      this.parts.failed(`${what}: ${failureOf(thrown).message}`);
      return false;
    }
  }
}
