// The contract of docs/asyncapi.json as validators of payloads, acks and server events.

import assert from "node:assert/strict";
import { readFileSync } from "node:fs";
import { join } from "node:path";

import { Ajv } from "ajv";

import { ROOT } from "./process.mjs";

const document = JSON.parse(readFileSync(join(ROOT, "docs/asyncapi.json"), "utf8"));
const { messages } = document.components;

const ajv = new Ajv({ strict: true, strictTypes: false, validateFormats: false, allowUnionTypes: true });
const bytes = (value) => Buffer.byteLength(typeof value === "string" ? value : JSON.stringify(value));
ajv.addKeyword({
  keyword: "x-maxBytes",
  type: ["string", "object"],
  validate: (most, value) => bytes(value) <= most,
});
ajv.addKeyword({
  keyword: "x-uniqueBy",
  type: "array",
  validate: (field, items) => new Set(items.map((item) => item?.[field])).size === items.length,
});
ajv.addSchema({ $id: "contract", components: document.components }, "contract");
ajv.addVocabulary(["components"]);

const pointer = (key) => ({ $ref: `contract#/components/messages/${key}/payload` });
const byName = (side) =>
  new Map(
    Object.entries(messages)
      .filter(([key]) => key.startsWith(side) && !key.endsWith(".ack"))
      .map(([key, { name }]) => [name, key]),
  );
const client = byName("client.");
const server = byName("server.");
const compiled = new Map();

function validator(key) {
  if (!compiled.has(key)) compiled.set(key, ajv.compile(pointer(key)));
  return compiled.get(key);
}

/** The names of all client events. */
export const CLIENT_EVENTS = [...client.keys()];

/** The schema of a client event's payload, and the definitions that it refers to. */
export const payloadSchema = (event) => messages[client.get(event)].payload;
export const definition = ({ $ref }) => document.components.schemas[$ref.split("/").at(-1)];

/** Whether the contract accepts this payload. */
export const accepts = (event, payload) => validator(client.get(event))(payload);

/** False if an older server is under test, which knows less of the contract. */
const checks = process.env.E2E_CONTRACT !== "off";

function holds(key, what, value) {
  const check = validator(key);
  if (!check(value)) {
    assert.fail(`${what} breaks the contract: ${ajv.errorsText(check.errors)}; ${JSON.stringify(value)}`);
  }
}

/** Fails if an ack is not as described. Unknown events have no description. */
export function checkAck(event, ack) {
  if (checks && client.has(event)) holds(`${client.get(event)}.ack`, `the ack of ${event}`, ack);
}

/** Fails if a server event is not as described. */
export function checkEvent(event, payload) {
  if (!checks) return;
  assert.ok(server.has(event), `the contract describes no event ${event}`);
  holds(server.get(event), event, payload);
}
