// Reads something again and again while the page is visible, one request at a time.

import { useEffect, useRef, useState } from "react";

import { CallError } from "./api.ts";

/** Milliseconds between an answer and the next request, unless the answer changes seldom. */
export const INTERVAL = 5_000;

export interface PollOptions<T> {
  readonly load: (signal: AbortSignal) => Promise<T>;
  readonly onData: (data: T) => void;
  readonly onError: (error: unknown) => void;
  readonly page?: Pick<Document, "hidden" | "addEventListener" | "removeEventListener">;
  /** Milliseconds from an answer to the next request. After a failure they are {@link INTERVAL}. */
  readonly pause?: (data: T) => number;
}

export interface Polling {
  /** Reads again at once, or right after the request in flight. */
  readonly refresh: () => void;
  readonly stop: () => void;
}

/** All polls of the page share it, so that a view with several parts has one request in flight. */
let lane: Promise<unknown> = Promise.resolve();

function inTurn<T>(signal: AbortSignal, load: (signal: AbortSignal) => Promise<T>): Promise<T> {
  const turn = lane.then(() => {
    signal.throwIfAborted();
    return load(signal);
  });
  lane = turn.catch(() => undefined);
  return turn;
}

export function startPolling<T>({
  load,
  onData,
  onError,
  page = document,
  pause = () => INTERVAL,
}: PollOptions<T>): Polling {
  const end = new AbortController();
  let timer: ReturnType<typeof setTimeout> | undefined;
  let inFlight = false;
  let wanted = false;

  const read = async () => {
    clearTimeout(timer);
    if (inFlight) {
      wanted = true;
      return;
    }
    inFlight = true;
    wanted = false;
    let wait = INTERVAL;
    try {
      const data = await inTurn(end.signal, load);
      wait = pause(data);
      if (!end.signal.aborted) onData(data);
    } catch (error) {
      if (!end.signal.aborted) onError(error);
    }
    inFlight = false;
    if (end.signal.aborted) return;
    if (wanted) void read();
    else if (!page.hidden) timer = setTimeout(() => void read(), wait);
  };
  const onVisibility = () => {
    if (page.hidden) clearTimeout(timer);
    else void read();
  };

  page.addEventListener("visibilitychange", onVisibility);
  void read();
  return {
    refresh: () => void read(),
    stop: () => {
      end.abort();
      clearTimeout(timer);
      page.removeEventListener("visibilitychange", onVisibility);
    },
  };
}

export interface Polled<T> {
  readonly data?: T | undefined;
  /** Why the latest request failed. `data` stays. */
  readonly error?: CallError | undefined;
  readonly refresh: () => void;
}

/** Polls `load` while the component is on the page. Another `subject` starts over, without old data. */
export function usePoll<T>(
  subject: string,
  load: (signal: AbortSignal) => Promise<T>,
  pause?: (data: T) => number,
): Polled<T> {
  const [state, setState] = useState<{ subject: string; data?: T; error?: CallError }>({ subject });
  const polling = useRef<Polling>(undefined);
  const latest = useRef({ load, pause });
  latest.current = { load, pause };
  useEffect(() => {
    const started = startPolling<T>({
      load: (signal) => latest.current.load(signal),
      onData: (data) => setState({ subject, data }),
      onError: (thrown) => {
        const error = thrown instanceof CallError ? thrown : new CallError(0, String(thrown));
        setState((was) => (was.subject === subject ? { ...was, error } : { subject, error }));
      },
      pause: (data) => latest.current.pause?.(data) ?? INTERVAL,
    });
    polling.current = started;
    return started.stop;
  }, [subject]);
  const { data, error } = state.subject === subject ? state : {};
  return { data, error, refresh: () => polling.current?.refresh() };
}
