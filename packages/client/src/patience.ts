// Requests that are made again, as soon as the server allows.

import { failureOf, type Failure } from "./contract.ts";

/** Milliseconds until the next attempt, if the server names none. */
const RETRY_AFTER = 1_000;

/** Makes a request, and repeats it after each refusal that `passes`. Rejects with any other one. */
export async function patiently<T>(passes: (refusal: Failure) => boolean, ask: () => Promise<T>): Promise<T> {
  for (;;) {
    try {
      return await ask();
    } catch (thrown) {
      const refusal = failureOf(thrown);
      if (!passes(refusal)) throw thrown;
      await new Promise((resolve) => setTimeout(resolve, refusal.retryAfterMs ?? RETRY_AFTER));
    }
  }
}
