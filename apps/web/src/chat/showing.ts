// What the user shows as: told by the server on connecting and by other devices, chosen here.

import { failureOf, type Choice, type Request } from "../contract.ts";

export interface ShowingParts {
  request: Request;
  /** The choice is another one now, told or chosen. */
  chosen: (choice: Choice) => void;
  /** Something could not be done; for the user. */
  failed: (words: string) => void;
}

export class Showing {
  choice: Choice = { status: "online" };

  constructor(private readonly parts: ShowingParts) {}

  /** A new connection: who is simply online is not told so. */
  begin(): void {
    this.choice = { status: "online" };
  }

  told({ status, text }: Choice): void {
    this.choice = text ? { status, text } : { status };
    this.parts.chosen(this.choice);
  }

  /** Shows as something else, on all devices. */
  async choose(choice: Choice): Promise<void> {
    try {
      await this.parts.request("presence:set_status", choice);
      this.told(choice);
    } catch (thrown) {
      this.parts.failed(`Could not set your status: ${failureOf(thrown).message}`);
    }
  }
}
