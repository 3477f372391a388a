// Generated payloads of client events: most of them near the contract, on both sides of its bounds.

import fc from "fast-check";

import { definition, payloadSchema } from "./contract.mjs";

/** Values of all types, and texts that one of the rules may forbid. */
const ODD = [
  ...[
    null,
    true,
    false,
    0,
    -1,
    1,
    0.5,
    3.0,
    2 ** 53 - 1,
    2 ** 53,
    1e300,
    -0,
    [],
    [null],
    ["alice"],
    [1],
    {},
  ],
  ...[
    { room: "lobby" },
    "",
    " ",
    "a",
    " a",
    "a ",
    "a\nb",
    "\0",
    "\u2028",
    "\u200b",
    "\u3000",
    "1.1",
    "1.",
    "👍",
  ],
  ...[
    "online",
    "true",
    "1",
    "x".repeat(64),
    "x".repeat(65),
    "x".repeat(128),
    "x".repeat(129),
    "ж".repeat(65),
  ],
];

/** Values that satisfy a schema mostly, and in part do not. */
function about(schema) {
  const good = near(schema);
  return fc.oneof({ weight: 12, arbitrary: good }, { weight: 1, arbitrary: fc.constantFrom(...ODD) });
}

function near(schema) {
  if (schema === true) return fc.jsonValue({ maxDepth: 2 });
  if (schema.$ref) return near(definition(schema));
  if (schema.allOf) return near(schema.allOf[0]);
  if ("const" in schema) return fc.constant(schema.const);
  if (schema.enum) return fc.constantFrom(...schema.enum);
  if (schema.anyOf && !schema.properties) return fc.oneof(...schema.anyOf.map(near));
  const types = [schema.type].flat();
  return fc.oneof(...types.map((type) => ofType(type, schema)));
}

function ofType(type, schema) {
  switch (type) {
    case "null":
      return fc.constant(null);
    case "boolean":
      return fc.boolean();
    case "integer": {
      const { minimum, maximum } = schema;
      const edges = [minimum - 1, minimum, minimum + 1, maximum, maximum + 1];
      return fc.oneof(fc.integer({ min: minimum, max: 60 }), fc.constantFrom(...edges));
    }
    case "string":
      return text(schema);
    case "array": {
      const item = about(schema.items);
      const long = schema.maxItems + 1;
      const sizes = [
        { weight: 20, arbitrary: fc.array(item, { maxLength: 4 }) },
        {
          weight: 1,
          arbitrary: fc
            .constantFrom(long - 1, long)
            .chain((n) => fc.array(fc.constant("alice"), { minLength: n, maxLength: n })),
        },
      ];
      return fc.oneof(...sizes);
    }
    case "object":
      return object(schema);
    default:
      return fc.jsonValue({ maxDepth: 2 });
  }
}

function text({ maxLength, "x-maxBytes": bytes, pattern = "" }) {
  const most = maxLength ?? bytes;
  const edges = [most - 1, most, most + 1].map((n) => fc.constant("y".repeat(n)));
  const wide = fc.constant("ж".repeat(Math.ceil(most / 2)));
  const plain = pattern.startsWith("^[0-9]")
    ? fc.stringMatching(/^[0-9]{1,19}\.[0-9]{1,19}$/)
    : fc.constantFrom("lobby", "alice", "a-1");
  return fc.oneof(
    { weight: 12, arbitrary: plain },
    { weight: 3, arbitrary: fc.string({ unit: "grapheme", maxLength: 40 }) },
    { weight: 2, arbitrary: fc.string({ unit: "binary", maxLength: 6 }) },
    ...[...(Number.isFinite(most) ? [...edges, wide] : [])].map((arbitrary) => ({ weight: 1, arbitrary })),
  );
}

function object({ properties, required = [], "x-maxBytes": bytes }) {
  if (!properties) {
    const sized = (n) => ({ a: "z".repeat(n - 8) });
    const edges = bytes ? [fc.constantFrom(sized(bytes), sized(bytes + 1))] : [];
    return fc.oneof(fc.dictionary(fc.string(), fc.jsonValue({ maxDepth: 2 })), ...edges);
  }
  const fields = Object.fromEntries(
    Object.entries(properties).map(([name, schema]) => [name, about(schema)]),
  );
  return fc.oneof(
    { weight: 12, arbitrary: fc.record(fields, { requiredKeys: required }) },
    { weight: 1, arbitrary: fc.record(fields, { requiredKeys: [] }) },
  );
}

/** The store checks `replyTo` against the room, so valid ones name a message that exists. */
function withKnownReply(payload) {
  return Number.isInteger(payload?.replyTo) && payload.replyTo >= 1 ? { ...payload, replyTo: 1 } : payload;
}

/** Payloads of an event. */
export const payloadsOf = (event) => about(payloadSchema(event)).map(withKnownReply);

/** A fixed sample of them, as they are after JSON. */
export const payloadSamples = (event) =>
  fc
    .sample(payloadsOf(event), { seed: 1, numRuns: 300 })
    .map((payload) => JSON.parse(JSON.stringify(payload)));
