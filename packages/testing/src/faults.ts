// The faults that a test can cause.

import type { Line } from "./line.ts";

/** Faults of the network and of the server. Each lasts until `heal` or its opposite. */
export interface Faults {
  /** Closes all connections once, as a proxy does at its restart. Clients can reconnect at once. */
  cut(): void;
  /** Closes all connections and refuses new ones, as without a network. */
  offline(): void;
  /** Keeps connections open, but nothing passes, as after a sleep or a lost access point. */
  halfOpen(): void;
  /** Delays everything by `ms` milliseconds in each direction. */
  delay(ms: number): void;
  /** Answers every event and every HTTP call with `unavailable`, as if the database had failed. */
  unavailable(): Promise<void>;
  /**
   * Expires all tokens issued so far, and ends their connections with `token_expired`. Takes up to one
   * second. Tokens issued afterwards are valid.
   */
  expireTokens(): Promise<void>;
  /** Ends all faults. */
  heal(): Promise<void>;
}

/** The faults of a server behind `line`. `ask` sends a request to its dev mode. */
export function faultsOf(line: Line, ask: (wanted: object) => Promise<void>): Faults {
  let outage = false;
  return {
    cut: () => line.drop(),
    offline: () => line.cut(),
    halfOpen: () => line.silence(),
    delay: (ms) => line.delay(ms),
    unavailable: async () => {
      await ask({ outage: true });
      outage = true;
    },
    expireTokens: () => ask({ expireTokens: true }),
    heal: async () => {
      line.heal();
      if (outage) await ask({ outage: false });
      outage = false;
    },
  };
}
