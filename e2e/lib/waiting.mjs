// Waiting for events with a deadline. A test waits for what happens, never for time to pass.

/** Milliseconds before a wait fails. Only a failing test spends them. */
export const PATIENCE = 15_000;

/** Settles as `promise` does, or fails after `patience` ms with what was awaited. */
export function within(promise, what, patience = PATIENCE) {
  let timer;
  const late = new Promise((_, reject) => {
    timer = setTimeout(
      () => reject(new Error(`waited ${patience} ms for ${what}, which did not come`)),
      patience,
    );
  });
  return Promise.race([promise, late]).finally(() => clearTimeout(timer));
}

/** The arguments of the next `event` of `emitter` that `wanted` takes. */
export function next(emitter, event, wanted = () => true, patience = PATIENCE) {
  let listener;
  const promise = new Promise((resolve) => {
    listener = (...args) => {
      if (wanted(...args)) resolve(args);
    };
    emitter.on(event, listener);
  });
  return within(promise, `the event ${event}`, patience).finally(() => emitter.off(event, listener));
}

/**
 * Asks `probe` again and again until it answers something true. For what gives no event: files, other processes. `what` may
 * be a function, which is asked when it did not come.
 */
export async function until(probe, what, patience = PATIENCE) {
  const deadline = performance.now() + patience;
  let last;
  for (;;) {
    try {
      const answer = await probe();
      if (answer) return answer;
      last = undefined;
    } catch (error) {
      last = error;
    }
    if (performance.now() > deadline) {
      const awaited = typeof what === "function" ? what() : what;
      throw new Error(`waited ${patience} ms for ${awaited}, which did not come`, { cause: last });
    }
    await new Promise((resolve) => setTimeout(resolve, 10));
  }
}

/** Resolves after `ms`. Only for tests of time itself: heartbeats and time-outs. */
export const sleep = (ms) => new Promise((resolve) => setTimeout(resolve, ms));
