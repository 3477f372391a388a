// The package's own check of the contract agrees with a full JSON Schema validator.

import { expect, test } from "vitest";

// @ts-expect-error: the end-to-end tests' helpers are plain JavaScript.
import { CLIENT_EVENTS, accepts } from "../../../e2e/lib/contract.mjs";
// @ts-expect-error: likewise.
import { payloadSamples } from "../../../e2e/lib/payloads.mjs";
import { checkContract } from "../src/check.ts";

test.each(CLIENT_EVENTS as string[])("%s: the check agrees with a JSON Schema validator", (event) => {
  for (const payload of payloadSamples(event) as unknown[]) {
    const broken = checkContract("payload", event, payload);
    expect(broken === undefined, `${JSON.stringify(payload)}: ${broken}`).toBe(accepts(event, payload));
  }
});

test("a violation names the field and the rule", () => {
  const payload = { room: "lobby", seq: 0 };
  expect(checkContract("payload", "chat:message_read", payload)).toBe(".seq must be at least 1");
  expect(checkContract("payload", "chat:message_read", { room: "lobby" })).toBe(".seq is missing");
  expect(checkContract("event", "chat:member_left", { room: "lobby" })).toBe(".userId is missing");
  expect(checkContract("payload", "chat:shout", {})).toBe("there is no event chat:shout");
  const ack = { ok: false, error: { code: "forbidden", message: "no", retryable: false } };
  expect(checkContract("ack", "chat:join", ack)).toBeUndefined();
  expect(checkContract("ack", "chat:join", { ok: true, data: {} })).toContain(".data.room is missing");
});
