// A chat user over HTTP long-polling, without a client library.

/** The ack of an event. */
export interface Ack {
  readonly ok: boolean;
  readonly data?: Record<string, unknown>;
  readonly error?: { readonly code: string; readonly message: string };
}

/** One connection to the server. */
export class ChatUser {
  readonly #session: string;
  #packets: string[] = [];
  #events = 0;

  private constructor(session: string) {
    this.#session = session;
  }

  /** Connects and waits for `session`. Rejects with the message of a `connect_error`. */
  static async connect(url: string, token: string): Promise<ChatUser> {
    const polling = `${url}/socket.io/?EIO=4&transport=polling`;
    const { sid } = JSON.parse((await (await fetch(polling)).text()).slice(1)) as { sid: string };
    const user = new ChatUser(`${polling}&sid=${sid}`);
    await user.#send(`40${JSON.stringify({ token })}`);
    const answer = await user.#next(/^(?:42\["session"|44)/);
    if (answer.startsWith("44")) throw new Error(answer.slice(2));
    return user;
  }

  /** Emits an event and returns its ack. */
  async ask(event: string, payload: object): Promise<Ack> {
    const id = this.#events++;
    await this.#send(`42${id}${JSON.stringify([event, payload])}`);
    const ack = await this.#next(new RegExp(`^43${id}\\[`));
    return (JSON.parse(ack.slice(ack.indexOf("["))) as [Ack])[0];
  }

  async #send(packet: string): Promise<void> {
    await fetch(this.#session, { method: "POST", body: packet });
  }

  async #next(wanted: RegExp): Promise<string> {
    for (;;) {
      const found = this.#packets.find((packet) => wanted.test(packet));
      if (found) return found;
      this.#packets = (await (await fetch(this.#session)).text()).split("\x1e");
    }
  }
}
