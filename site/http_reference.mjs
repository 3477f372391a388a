// The page of all HTTP calls, from the OpenAPI description.

const typeOf = (schema = {}) => {
  if (schema.$ref) return schema.$ref.split("/").at(-1);
  if (schema.oneOf) return schema.oneOf.map(typeOf).join(" or ");
  if (schema.enum) return schema.enum.map((one) => JSON.stringify(one)).join(" or ");
  const kinds = [schema.type].flat().filter(Boolean);
  return (
    kinds.map((kind) => (kind === "array" ? `list of ${typeOf(schema.items)}` : kind)).join(" or ") || "any"
  );
};

const cell = (text = "") => text.replace(/\s+/g, " ").replace(/\|/g, "\\|").trim();

function table(rows) {
  return ["| field | type | meaning |", "|---|---|---|", ...rows, ""].join("\n");
}

/** All fields of a schema, with those that it extends. */
function fields(schema, schemas) {
  if (schema.$ref) return fields(schemas[typeOf(schema)], schemas);
  const own = Object.entries(schema.properties ?? {}).map(([name, of]) => [
    name,
    of,
    (schema.required ?? []).includes(name),
  ]);
  return [...(schema.allOf ?? []).flatMap((part) => fields(part, schemas)), ...own];
}

function call(method, path, operation) {
  const { description, summary, operationId, parameters = [], requestBody, responses } = operation;
  const lines = [`### \`${method.toUpperCase()} ${path}\``, "", description ?? summary ?? operationId, ""];
  if (parameters.length > 0)
    lines.push(
      table(
        parameters.map(
          ({ name, in: where, required, schema, description: text }) =>
            `| \`${name}\` (${where}${required ? "" : ", optional"}) | ${cell(typeOf(schema))} | ${cell(text)} |`,
        ),
      ),
    );
  const link = (schema) => {
    const name = typeOf(schema?.oneOf?.find(({ $ref }) => $ref) ?? schema);
    return `[${name}](#${name.toLowerCase()})`;
  };
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
  lines.push("## Values", "");
  for (const [name, schema] of Object.entries(schemas)) {
    lines.push(`### ${name}`, "", schema.description ?? "", "");
    if (schema.enum) lines.push(cell(typeOf(schema)), "");
    const rows = fields(schema, schemas).map(
      ([field, of, required]) =>
        `| \`${field}\`${required ? "" : " (optional)"} | ${cell(typeOf(of))} | ${cell(of.description)} |`,
    );
    if (rows.length > 0) lines.push(table(rows));
  }
  return lines.join("\n");
}
