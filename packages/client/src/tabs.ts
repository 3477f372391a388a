// The tabs of one user that share a storage: the messages between them, and which of them sends.

/** What a tab tells the others, and whose tab it is. */
interface Told<M> {
  readonly user: string | undefined;
  readonly message: M;
}

/** Without a `name` there are no other tabs, and this one always leads. */
export class Tabs<M> {
  /** The user of this tab, as soon as it is known. It hears only tabs of the same user. */
  user: string | undefined;
  readonly #name: string | undefined;
  readonly #channel: BroadcastChannel | undefined;
  /** Counts the times that this tab has begun or ceased to want the lead. */
  #turn = 0;
  #release: (() => void) | undefined;
  #closed = false;

  constructor(name: string | undefined, heard: (message: M) => void) {
    if (name === undefined || typeof navigator === "undefined" || !("locks" in navigator)) return;
    this.#name = name;
    this.#channel = new BroadcastChannel(name);
    this.#channel.onmessage = ({ data }: MessageEvent<Told<M>>) => {
      if (data.user === this.user) heard(data.message);
    };
  }

  /** True if other tabs may use the same storage. */
  get shared(): boolean {
    return this.#name !== undefined;
  }

  tell(message: M): void {
    if (!this.#closed) this.#channel?.postMessage({ user: this.user, message } satisfies Told<M>);
  }

  /**
   * Calls `begin` once no other tab of the user leads. `leads` tells whether that still holds: it ends with
   * `pause`, or when the browser closes the tab.
   */
  lead(begin: (leads: () => boolean) => void): void {
    const turn = ++this.#turn;
    const leads = () => turn === this.#turn;
    if (this.#name === undefined) return begin(leads);
    const granted = () => {
      if (!leads()) return undefined;
      begin(leads);
      return new Promise<void>((resolve) => (this.#release = resolve));
    };
    // Where the browser refuses locks, each tab sends: the server stores a message once.
    navigator.locks.request(`${this.#name}/${this.user}`, granted).catch(() => leads() && begin(leads));
  }

  /** Gives the lead to another tab. */
  pause(): void {
    this.#turn += 1;
    this.#release?.();
    this.#release = undefined;
  }

  close(): void {
    this.pause();
    this.#closed = true;
    this.#channel?.close();
  }
}
