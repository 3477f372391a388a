// When the client repeats a call, with answers made up by a function in place of `fetch`.

import { describe, expect, test, vi } from "vitest";

import { RoomfulApi } from "../src/index.ts";

/** Makes an answer, or throws, as for a lost connection. */
type Answer = () => Response;

/** A client that gets `answers` in turn, the last one for ever. `calls` counts the requests. */
function against(...answers: Answer[]) {
  const asked = { calls: 0 };
  const send = async () => {
    const answer = answers[Math.min(asked.calls++, answers.length - 1)] as Answer;
    return answer();
  };
  return { asked, api: new RoomfulApi("http://roomful.test", { key: "key", attempts: 3, fetch: send }) };
}

/** An answer whose body breaks off after `text`. */
function broken(text: string): Response {
  const parts = [new TextEncoder().encode(text)];
  const pull = (controller: ReadableStreamDefaultController<Uint8Array>) => {
    const part = parts.shift();
    if (part) controller.enqueue(part);
    else controller.error(new Error("reset"));
  };
  // Without a queue, the error comes after the part.
  return new Response(new ReadableStream({ pull }, { highWaterMark: 0 }));
}

const status = (code: number) => () => new Response("", { status: code, headers: { "retry-after": "0" } });
const busy = status(503);
const reset = () => {
  throw new Error("reset");
};

describe("a call", () => {
  test("is repeated as Retry-After says, up to the attempts", async () => {
    const { asked, api } = against(busy);
    await expect(api.stats()).rejects.toMatchObject({ code: "unexpected_answer", status: 503 });
    expect(asked.calls).toBe(3);
  });

  test("that is safe to repeat is repeated after a lost answer", async () => {
    for (const lost of [reset, status(502), status(504)]) {
      const { asked, api } = against(lost, () => Response.json({ userId: "mallory" }));
      await api.putBan("mallory");
      expect(asked.calls).toBe(2);
    }
  });

  test("whose repetition means something else fails after a lost answer", async () => {
    for (const lost of [reset, status(502), status(504)]) {
      const { asked, api } = against(lost);
      await expect(api.resolveReport(1, { action: "ban" })).rejects.toThrow();
      await expect(api.replayRecord("evt_1")).rejects.toThrow();
      await expect(api.replayDeadRecords()).rejects.toThrow();
      expect(asked.calls).toBe(3);
    }
    const { asked, api } = against(busy, () => Response.json({ id: 1 }));
    await api.resolveReport(1, { action: "ban" });
    expect(asked.calls).toBe(2);
  });

  test("with an answer that is not JSON fails with an error of its own", async () => {
    const { api } = against(() => new Response("<h1>Sign in to the network</h1>"));
    await expect(api.stats()).rejects.toMatchObject({ code: "unexpected_answer", status: 200 });
  });
});

describe("an export", () => {
  const rows = async (api: RoomfulApi) => {
    const seen: unknown[] = [];
    try {
      for await (const row of api.exportUser("alice")) seen.push(row.type);
    } catch (error) {
      seen.push((error as { code: string }).code);
    }
    return seen;
  };

  test("begins again until it has an answer", async () => {
    const { api } = against(busy, reset, () => new Response('{"type":"user"}\n{"type":"device"}\n'));
    expect(await rows(api)).toEqual(["user", "device"]);
  });

  test("that breaks off ends with an error", async () => {
    for (const answer of [
      () => broken('{"type":"user"}\n{"ty'),
      () => new Response('{"type":"user"}\n{"type":"device"}'),
    ]) {
      const { asked, api } = against(answer);
      expect(await rows(api)).toEqual(["user", "unreachable"]);
      expect(asked.calls).toBe(1);
    }
  });

  test("closes its connection when the reader stops", async () => {
    let canceled = false;
    const body = new ReadableStream<Uint8Array>({
      pull: (controller) => controller.enqueue(new TextEncoder().encode('{"type":"user"}\n')),
      cancel: () => void (canceled = true),
    });
    const api = new RoomfulApi("http://roomful.test", { key: "key", fetch: async () => new Response(body) });
    for await (const row of api.exportUser("alice")) {
      expect(row.type).toBe("user");
      break;
    }
    expect(canceled).toBe(true);
  });

  test("waits for the server no longer than the timeout, but as long as the reader wants", async () => {
    vi.useFakeTimers({ toFake: ["setTimeout", "clearTimeout"] });
    try {
      const send = async (_: unknown, { signal }: RequestInit = {}) => {
        const start = (controller: ReadableStreamDefaultController<Uint8Array>) => {
          controller.enqueue(new TextEncoder().encode('{"type":"user"}\n{"type":"device"}\n'));
          signal?.addEventListener("abort", () => controller.error(signal.reason));
        };
        return new Response(new ReadableStream({ start }));
      };
      const api = new RoomfulApi("http://roomful.test", { key: "key", timeout: 1_000, fetch: send });
      const lines = api.exportUser("alice");
      expect((await lines.next()).value).toEqual({ type: "user" });
      vi.advanceTimersByTime(60_000);
      expect((await lines.next()).value).toEqual({ type: "device" });
      const third = lines.next();
      // The client is waiting for the server once its promises have run.
      await new Promise((resolve) => setImmediate(resolve));
      vi.advanceTimersByTime(1_000);
      await expect(third).rejects.toMatchObject({ code: "unreachable" });
    } finally {
      vi.useRealTimers();
    }
  });
});
