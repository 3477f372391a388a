// Waiting for events with a deadline. Tests wait for events, never for time to pass.

/** Milliseconds before a wait fails. Only a failing test waits that long; slow machines need more. */
export const PATIENCE = Number(process.env.E2E_PATIENCE ?? 15_000);

/** The error of a wait. `what` names what was awaited; a function is called only now. */
const late = (what, patience, cause) =>
  new Error(`waited ${patience} ms for ${typeof what === "function" ? what() : what}, which did not come`, {
    cause,
  });

/** Settles like `promise`, or fails after `patience` ms with the event in `what`, a text or a function. */
export function within(promise, what, patience = PATIENCE) {
  let timer;
  const deadline = new Promise((_, reject) => {
    timer = setTimeout(() => reject(late(what, patience)), patience);
  });
  return Promise.race([promise, deadline]).finally(() => clearTimeout(timer));
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
 * `what` can be a function.
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
    if (performance.now() > deadline) throw late(what, patience, last);
    await new Promise((resolve) => setTimeout(resolve, 10));
  }
}

/** Resolves after `ms`. Only for tests of time itself: heartbeats and timeouts. */
export const sleep = (ms) => new Promise((resolve) => setTimeout(resolve, ms));
