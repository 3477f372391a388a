// JSON Schemas as Markdown: types in words, tables of fields, and a section for each named value.

const nameOf = (ref) => ref.split("/").at(-1);

/** A schema's type in words. */
export function typeOf(schema = {}) {
  // `true` allows anything.
  if (typeof schema === "boolean") return "any";
  if (schema.$ref) return nameOf(schema.$ref);
  const choices = schema.oneOf ?? schema.anyOf;
  if (choices) return choices.map(typeOf).join(" or ");
  if ("const" in schema) return JSON.stringify(schema.const);
  if (schema.enum) return schema.enum.map((one) => JSON.stringify(one)).join(" or ");
  const kinds = [schema.type].flat().filter(Boolean);
  return (
    kinds.map((kind) => (kind === "array" ? `list of ${typeOf(schema.items)}` : kind)).join(" or ") || "any"
  );
}

/** A text that fits into a cell of a table. Vue reads tags in the text of a page. */
export const cell = (text = "") =>
  text.replace(/\s+/g, " ").replace(/\|/g, "\\|").replace(/</g, "&lt;").trim();

/** The type in words, with links to the sections of named values on the same page. */
export function link(schema) {
  const choices = schema?.oneOf ?? schema?.anyOf;
  if (choices) return choices.map(link).join(" or ");
  return schema?.$ref
    ? `[${nameOf(schema.$ref)}](#${nameOf(schema.$ref).toLowerCase()})`
    : cell(typeOf(schema));
}

/** All fields of a schema, with those that it extends: name, schema, and whether it is required. */
function fields(schema, schemas) {
  if (schema.$ref) return fields(schemas[nameOf(schema.$ref)], schemas);
  const required = schema.required ?? [];
  const own = Object.entries(schema.properties ?? {}).map(([name, of]) => [
    name,
    of,
    required.includes(name),
  ]);
  return [...(schema.allOf ?? []).flatMap((part) => fields(part, schemas)), ...own];
}

export function table(rows) {
  return ["| field | type | meaning |", "|---|---|---|", ...rows, ""].join("\n");
}

/** A section for each named value. */
export function values(schemas) {
  return Object.entries(schemas).flatMap(([name, schema]) => {
    const rows = fields(schema, schemas).map(
      ([field, of, required]) =>
        `| \`${field}\`${required ? "" : " (optional)"} | ${cell(typeOf(of))} | ${cell(of.description)} |`,
    );
    const text = rows.length > 0 ? table(rows) : `${cell(typeOf(schema))}\n`;
    return [`### ${name}`, "", cell(schema.description), "", text];
  });
}
