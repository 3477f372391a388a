// The page of all events with their schemas, from the AsyncAPI description if the repository has one.

import { existsSync, readFileSync } from "node:fs";
import { join } from "node:path";

/** Markdown, or undefined without a description. */
export function eventReference(root) {
  const path = join(root, "docs/asyncapi.json");
  if (!existsSync(path)) return undefined;
  const { components } = JSON.parse(readFileSync(path, "utf8"));
  const lines = [
    "# Event schemas",
    "",
    "The payload of every event as JSON Schema, generated from the server. [Events](../events.md) explains them.",
    "",
  ];
  for (const [id, { name = id, title, summary, description, payload }] of Object.entries(
    components.messages ?? {},
  )) {
    lines.push(`## ${title ?? name}`, "", description ?? summary ?? "", "");
    lines.push("```json", JSON.stringify(payload ?? {}, null, 2), "```", "");
  }
  return lines.join("\n");
}
