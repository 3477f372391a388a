// Waiting for events with a deadline. Tests wait for events, never for time to pass.

/** Milliseconds before a wait fails. Only a failing test waits that long; slow machines need more. */
export const PATIENCE = Number(process.env.E2E_PATIENCE ?? 15_000);

/** Settles like `promise`, or fails after `patience` ms and names the awaited event. */
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

/** Resolves to the arguments of the next `event` of `emitter` that satisfies `wanted`. */
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
 * Polls `probe` until it returns something truthy. For sources without events: files, other processes.
 * `what` can be a function; it is called for the error message.
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

/** Resolves after `ms`. Only for tests of time itself: heartbeats and timeouts. */
export const sleep = (ms) => new Promise((resolve) => setTimeout(resolve, ms));
