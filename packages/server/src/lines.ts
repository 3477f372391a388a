// Answers as lines of JSON (NDJSON), read part by part.

import type { Deadline } from "./deadline.ts";

/**
 * The parts of a body. The deadline counts only while this waits for the server, so a slow consumer is no
 * fault of the server's.
 */
export async function* parts(
  body: ReadableStream<Uint8Array> | null,
  deadline: Deadline,
): AsyncGenerator<Uint8Array> {
  const reader = body?.getReader();
  try {
    while (reader) {
      deadline.start();
      const { done, value } = await reader.read();
      deadline.stop();
      if (done) return;
      yield value;
    }
  } finally {
    deadline.stop();
    // A consumer that stops early closes the connection. A broken stream has reported its error already.
    await reader?.cancel().catch(() => undefined);
  }
}

/**
 * The lines of a body, each parsed. Only a line feed ends a line: JSON may contain all other line separators.
 *
 * @throws SyntaxError if a line is not JSON, or the last one has no end.
 */
export async function* jsonLines<T>(body: AsyncIterable<Uint8Array>): AsyncGenerator<T> {
  const decoder = new TextDecoder();
  let rest = "";
  for await (const part of body) {
    const lines = (rest + decoder.decode(part, { stream: true })).split("\n");
    rest = lines.pop() ?? "";
    for (const line of lines) yield JSON.parse(line) as T;
  }
  if (rest + decoder.decode() !== "") throw new SyntaxError("the last line has no end");
}
