// The page of all HTTP calls, from the OpenAPI description.

import { cell, link, table, typeOf, values } from "./schema.mjs";

function call(method, path, operation) {
  const { description, summary, operationId, parameters = [], requestBody, responses } = operation;
  const lines = [`### \`${method.toUpperCase()} ${path}\``, "", description ?? summary ?? operationId, ""];
  if (parameters.length > 0)
    lines.push(
      table(
        parameters.map(
          ({ name, in: where, required, schema, description: text }) =>
            `| \`${name}\` (${where}${required ? "" : ", optional"}) ` +
            `| ${cell(typeOf(schema))} | ${cell(text)} |`,
        ),
      ),
    );
  const body = requestBody?.content?.["application/json"];
  if (body) lines.push(`Body: ${link(body.schema)}`, "");
  lines.push("| status | answer |", "|---|---|");
  for (const [status, { description: text, content }] of Object.entries(responses)) {
    const schema = Object.values(content ?? {})[0]?.schema;
    lines.push(`| ${status} | ${cell(text)}${schema?.$ref ? ` ${link(schema)}` : ""} |`);
  }
  return [...lines, ""];
}

/** Markdown for a description. */
export function httpReference({ paths, components: { schemas } }) {
  const lines = [
    "# HTTP calls",
    "",
    "Every call of the HTTP API with its fields, generated from the server's OpenAPI description. The [HTTP",
    "API](../http-api.md) explains keys, errors and pages.",
    "",
    "## Calls",
    "",
  ];
  for (const [path, methods] of Object.entries(paths))
    for (const [method, operation] of Object.entries(methods)) lines.push(...call(method, path, operation));
  return [...lines, "## Values", "", ...values(schemas)].join("\n");
}
