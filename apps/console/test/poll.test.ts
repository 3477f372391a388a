// Polling: one request at a time, none while the page is hidden.

import { afterEach, beforeEach, expect, test, vi } from "vitest";

import { INTERVAL, startPolling, type Polling } from "../src/poll.ts";

/** A page whose visibility the test sets. */
class FakePage extends EventTarget {
  hidden = false;

  show(visible: boolean): void {
    this.hidden = !visible;
    this.dispatchEvent(new Event("visibilitychange"));
  }
}

/** A source that counts its readers and answers when the test says so. */
class Source {
  asked = 0;
  inFlight = 0;
  mostInFlight = 0;
  #waiting: (() => void)[] = [];

  readonly load = async (): Promise<number> => {
    this.asked += 1;
    this.inFlight += 1;
    this.mostInFlight = Math.max(this.mostInFlight, this.inFlight);
    await new Promise<void>((resolve) => this.#waiting.push(resolve));
    this.inFlight -= 1;
    return this.asked;
  };

  async answer(): Promise<void> {
    this.#waiting.shift()?.();
    await vi.advanceTimersByTimeAsync(0);
  }
}

const running: Polling[] = [];
beforeEach(() => void vi.useFakeTimers());
afterEach(() => {
  for (const polling of running.splice(0)) polling.stop();
  vi.useRealTimers();
});

async function start(source: Source, page: FakePage) {
  const seen: unknown[] = [];
  const polling = startPolling({
    load: source.load,
    onData: (data) => seen.push(data),
    onError: (error) => seen.push(error),
    page: page as unknown as Document,
  });
  running.push(polling);
  await vi.advanceTimersByTimeAsync(0);
  return { seen, polling };
}

test("the next request starts an interval after the answer", async () => {
  const source = new Source();
  const { seen } = await start(source, new FakePage());
  await vi.advanceTimersByTimeAsync(10 * INTERVAL);
  expect(source.asked).toBe(1);
  await source.answer();
  expect(seen).toEqual([1]);
  await vi.advanceTimersByTimeAsync(INTERVAL - 1);
  expect(source.asked).toBe(1);
  await vi.advanceTimersByTimeAsync(1);
  expect(source.asked).toBe(2);
  await source.answer();
});

test("the pause may depend on the answer, and a failure is soon followed by another request", async () => {
  let asked = 0;
  const load = async () => {
    asked += 1;
    if (asked === 2) throw new Error("no answer");
    return asked;
  };
  const page = new FakePage() as unknown as Document;
  const ignore = () => undefined;
  running.push(startPolling({ load, onData: ignore, onError: ignore, page, pause: () => 3 * INTERVAL }));
  await vi.advanceTimersByTimeAsync(3 * INTERVAL - 1);
  expect(asked).toBe(1);
  await vi.advanceTimersByTimeAsync(1);
  expect(asked).toBe(2);
  await vi.advanceTimersByTimeAsync(INTERVAL);
  expect(asked).toBe(3);
});

test("a hidden page asks nothing, and a page that shows again asks at once", async () => {
  const source = new Source();
  const page = new FakePage();
  await start(source, page);
  page.show(false);
  await source.answer();
  await vi.advanceTimersByTimeAsync(100 * INTERVAL);
  expect(source.asked).toBe(1);
  page.show(true);
  await vi.advanceTimersByTimeAsync(0);
  expect(source.asked).toBe(2);
  await source.answer();
});

test("refreshes during a request lead to one more request", async () => {
  const source = new Source();
  const { polling } = await start(source, new FakePage());
  polling.refresh();
  polling.refresh();
  expect(source.asked).toBe(1);
  await source.answer();
  expect(source.asked).toBe(2);
  await source.answer();
  expect(source.asked).toBe(2);
});

test("two polls of one page have one request in flight", async () => {
  const source = new Source();
  const page = new FakePage();
  await start(source, page);
  await start(source, page);
  expect(source.asked).toBe(1);
  await source.answer();
  expect(source.asked).toBe(2);
  await source.answer();
  expect(source.mostInFlight).toBe(1);
});

test("an answer after the end is not shown", async () => {
  const source = new Source();
  const { seen, polling } = await start(source, new FakePage());
  polling.stop();
  await source.answer();
  await vi.advanceTimersByTimeAsync(10 * INTERVAL);
  expect(seen).toEqual([]);
  expect(source.asked).toBe(1);
});
