// A check of payloads and acks against the server's contract, for development builds and tests.
//
// It interprets the keywords that the contract uses, and no others. It is an entry point of its own, so that
// production bundles do not contain it.

import { CONTRACT } from "./check_schemas.generated.ts";

type Schema = boolean | { readonly [keyword: string]: unknown };

/** What a checked value is. */
export type Checked = "payload" | "ack" | "event";

const definitions = CONTRACT.definitions as unknown as Record<string, Schema>;
const client = CONTRACT.client as unknown as Record<string, { payload: Schema; ack: Schema }>;
const server = CONTRACT.server as unknown as Record<string, Schema>;
const bytes = new TextEncoder();

/**
 * Returns the first rule of the contract that a value violates, as a text with the path of the field, or
 * undefined. `kind` says whether the value is a client event's payload, its ack, or a server event's payload.
 */
export function checkContract(kind: Checked, event: string, value: unknown): string | undefined {
  const known = kind === "event" ? server[event] : client[event]?.[kind];
  return known === undefined ? `there is no event ${event}` : violation(known, value, "");
}

function violation(schema: Schema, value: unknown, path: string): string | undefined {
  if (typeof schema === "boolean") return schema ? undefined : `${path} must be absent`;
  for (const [keyword, rule] of Object.entries(schema)) {
    const broken = RULES[keyword]?.(rule as never, value, path);
    if (broken !== undefined) return broken;
  }
  return undefined;
}

type Rule = (rule: never, value: unknown, path: string) => string | undefined;

const fails = (broken: boolean, path: string, must: string): string | undefined =>
  broken ? `${path || "the value"} must ${must}` : undefined;

const isObject = (value: unknown): value is Record<string, unknown> =>
  typeof value === "object" && value !== null && !Array.isArray(value);

const characters = (text: string): number => [...text].length;

function hasType(value: unknown, type: string): boolean {
  switch (type) {
    case "null":
      return value === null;
    case "array":
      return Array.isArray(value);
    case "object":
      return isObject(value);
    case "integer":
      return Number.isInteger(value);
    default:
      return typeof value === type;
  }
}

function byteLength(value: unknown): number {
  return bytes.encode(typeof value === "string" ? value : JSON.stringify(value)).length;
}

const RULES: Record<string, Rule> = {
  $ref: (name: string, value, path) => violation(definitions[name] ?? true, value, path),
  type: (types: string | string[], value, path) => {
    const allowed = [types].flat();
    return fails(!allowed.some((type) => hasType(value, type)), path, `be ${allowed.join(" or ")}`);
  },
  const: (constant: unknown, value, path) =>
    fails(value !== constant, path, `be ${JSON.stringify(constant)}`),
  enum: (values: unknown[], value, path) =>
    fails(!values.includes(value), path, `be one of ${JSON.stringify(values)}`),
  anyOf: (choices: Schema[], value, path) => {
    const broken = choices.map((choice) => violation(choice, value, path));
    return broken.includes(undefined) ? undefined : broken.filter(Boolean).join(", or ");
  },
  oneOf: (choices: Schema[], value, path) => {
    const broken = choices.map((choice) => violation(choice, value, path));
    const good = broken.filter((one) => one === undefined).length;
    if (good === 0) return broken.join(", or ");
    return fails(good > 1, path, "match exactly one shape");
  },
  allOf: (parts: Schema[], value, path) => {
    for (const part of parts) {
      const broken = violation(part, value, path);
      if (broken !== undefined) return broken;
    }
    return undefined;
  },
  not: (schema: Schema, value, path) =>
    fails(violation(schema, value, path) === undefined, path, "not combine these fields"),
  required: (names: string[], value, path) => {
    const missing = isObject(value) && names.find((name) => value[name] === undefined);
    return missing ? `${path}.${missing} is missing` : undefined;
  },
  properties: (properties: Record<string, Schema>, value, path) => {
    if (!isObject(value)) return undefined;
    for (const [name, schema] of Object.entries(properties)) {
      if (value[name] === undefined) continue;
      const broken = violation(schema, value[name], `${path}.${name}`);
      if (broken !== undefined) return broken;
    }
    return undefined;
  },
  items: (schema: Schema, value, path) => {
    if (!Array.isArray(value)) return undefined;
    for (const [index, item] of value.entries()) {
      const broken = violation(schema, item, `${path}[${index}]`);
      if (broken !== undefined) return broken;
    }
    return undefined;
  },
  minimum: (least: number, value, path) =>
    fails(typeof value === "number" && value < least, path, `be at least ${least}`),
  maximum: (most: number, value, path) =>
    fails(typeof value === "number" && value > most, path, `be at most ${most}`),
  minLength: (least: number, value, path) =>
    fails(typeof value === "string" && characters(value) < least, path, `have ${least} characters or more`),
  maxLength: (most: number, value, path) =>
    fails(typeof value === "string" && characters(value) > most, path, `have ${most} characters or fewer`),
  maxItems: (most: number, value, path) =>
    fails(Array.isArray(value) && value.length > most, path, `have ${most} items or fewer`),
  pattern: (pattern: string, value, path) =>
    fails(typeof value === "string" && !new RegExp(pattern, "u").test(value), path, `match ${pattern}`),
  "x-maxBytes": (most: number, value, path) =>
    fails(
      (typeof value === "string" || isObject(value)) && byteLength(value) > most,
      path,
      `have ${most} bytes or fewer`,
    ),
  "x-uniqueBy": (name: string, value, path) => {
    if (!Array.isArray(value)) return undefined;
    const keys = value.map((item) => (isObject(item) ? item[name] : undefined));
    return fails(new Set(keys).size < keys.length, path, `not repeat a ${name}`);
  },
};
