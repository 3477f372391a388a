// Generates the package's view of the contract from docs/asyncapi.json: types, and schemas for the check.
//
//   node scripts/contract.mjs            writes src/contract.generated.ts and src/check_schemas.generated.ts
//   node scripts/contract.mjs --check    fails if one of them is out of date

import { readFileSync, writeFileSync } from "node:fs";

const read = (path) => readFileSync(new URL(path, import.meta.url), "utf8");
const document = JSON.parse(read("../../../docs/asyncapi.json"));
const { schemas, messages } = document.components;
const NOTE =
  "// Generated from docs/asyncapi.json by scripts/contract.mjs, which is generated from the server's types.\n";

const nameOf = (reference) => reference.split("/").at(-1);
const union = (types) => [...new Set(types)].join(" | ");
const isObject = (schema) => schema.properties !== undefined;

/** The TypeScript type of a schema. Bounds and patterns have no counterpart. */
function typeOf(schema) {
  if (schema === true || schema === undefined) return "unknown";
  if (schema.$ref) return nameOf(schema.$ref);
  if ("const" in schema) return JSON.stringify(schema.const);
  if (schema.enum) return union(schema.enum.map((value) => JSON.stringify(value)));
  const choices = schema.anyOf ?? schema.oneOf;
  if (choices && !isObject(schema)) return union(choices.map(typeOf));
  if (schema.allOf && !isObject(schema)) return schema.allOf.map(typeOf).join(" & ");
  if (Array.isArray(schema.type)) return union(schema.type.map((type) => typeOf({ ...schema, type })));
  switch (schema.type) {
    case "string":
    case "boolean":
    case "null":
      return schema.type;
    case "integer":
    case "number":
      return "number";
    case "array": {
      const item = typeOf(schema.items);
      return /^\w+$/.test(item) ? `readonly ${item}[]` : `readonly (${item})[]`;
    }
    case "object":
      return isObject(schema) ? `{\n${fields(schema)}}` : "Readonly<Record<string, unknown>>";
    default:
      return "unknown";
  }
}

function comment(text, indent = "") {
  if (!text) return "";
  const words = text.replaceAll("\n", " ").split(" ");
  const lines = [""];
  for (const word of words) {
    const longer = `${lines.at(-1)} ${word}`.trim();
    if (longer.length > 92) lines.push(word);
    else lines[lines.length - 1] = longer;
  }
  if (lines.length === 1) return `${indent}/** ${lines[0]} */\n`;
  return `${indent}/**\n${lines.map((line) => `${indent} * ${line}\n`).join("")}${indent} */\n`;
}

function fields(schema) {
  return Object.entries(schema.properties)
    .map(([name, property]) => {
      const optional = schema.required?.includes(name) ? "" : "?";
      return `${comment(property.description, "  ")}  readonly ${name}${optional}: ${typeOf(property)};\n`;
    })
    .join("");
}

function definition([name, schema]) {
  const about = comment(schema.description);
  return isObject(schema)
    ? `${about}export interface ${name} {\n${fields(schema)}}\n`
    : `${about}export type ${name} = ${typeOf(schema)};\n`;
}

const withKey = (start) => Object.entries(messages).filter(([key]) => key.startsWith(start));
const clientMessages = withKey("client.").filter(([key]) => !key.endsWith(".ack"));

function types() {
  const clientEvents = clientMessages.map(([key, { name, summary, payload }]) => {
    const ack = messages[`${key}.ack`].payload.oneOf[0].properties.data;
    return `${comment(summary, "  ")}  ${JSON.stringify(name)}: { payload: ${typeOf(payload)}; ack: ${typeOf(ack)} };\n`;
  });
  const serverEvents = withKey("server.").map(
    ([, { name, summary, payload }]) =>
      `${comment(summary, "  ")}  ${JSON.stringify(name)}: ${typeOf(payload)};\n`,
  );
  return [
    `${NOTE}// The events' payloads and acks.\n`,
    ...Object.entries(schemas).map(definition),
    `/** Client events: the payload, and the data of the ack. */\nexport interface ClientEvents {\n${clientEvents.join("")}}\n`,
    `/** Server events: the payload. */\nexport interface ServerEvents {\n${serverEvents.join("")}}\n`,
  ].join("\n");
}

/** The schemas as JSON without texts for readers. A `$ref` is the name of a definition. */
function check() {
  const slim = (value) => {
    if (Array.isArray(value)) return value.map(slim);
    if (typeof value !== "object" || value === null) return value;
    const kept = Object.entries(value).filter(
      ([key, inner]) =>
        !["format", "title"].includes(key) && !(key === "description" && typeof inner === "string"),
    );
    return Object.fromEntries(
      kept.map(([key, inner]) => [key, key === "$ref" ? nameOf(inner) : slim(inner)]),
    );
  };
  const client = {};
  const server = {};
  for (const [key, { name, payload }] of clientMessages)
    client[name] = { payload: slim(payload), ack: slim(messages[`${key}.ack`].payload) };
  for (const [, { name, payload }] of withKey("server.")) server[name] = slim(payload);
  const data = { definitions: slim(schemas), client, server };
  return [
    `${NOTE}// The schemas for the check of payloads and acks.\n`,
    `export const CONTRACT = ${JSON.stringify(data)};\n`,
  ].join("\n");
}

const outputs = { "../src/contract.generated.ts": types(), "../src/check_schemas.generated.ts": check() };
for (const [path, text] of Object.entries(outputs)) {
  if (!process.argv.includes("--check")) {
    writeFileSync(new URL(path, import.meta.url), text);
  } else if (read(path) !== text) {
    console.error(`${path.slice(3)} differs from docs/asyncapi.json; run: npm run contract`);
    process.exitCode = 1;
  }
}
