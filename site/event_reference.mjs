// The page of all events with their fields, from the AsyncAPI description.

import { cell, link, values } from "./schema.mjs";

/** The schema of the data in a successful ack. */
const acked = ({ payload }) => payload.oneOf?.find(({ properties }) => properties?.data)?.properties.data;

/** Markdown for an AsyncAPI description. */
export function eventReference({ operations, components: { messages, schemas } }) {
  const named = ({ $ref }) => messages[$ref.split("/").at(-1)];
  const rows = { receive: [], send: [] };
  for (const { action, summary, messages: own, reply } of Object.values(operations))
    for (const message of own.map(named)) {
      const ack = reply?.messages.map(named).map(acked).find(Boolean);
      const answer = action === "receive" ? ` ${ack ? link(ack) : ""} |` : "";
      rows[action].push(`| \`${message.name}\` | ${link(message.payload)} |${answer} ${cell(summary)} |`);
    }
  return [
    "# Event schemas",
    "",
    "Every event with its fields, generated from the server's AsyncAPI description.",
    "[Events](../events.md) explains them. For your own tools, a server has the schemas at",
    "`/api/asyncapi.json`.",
    "",
    "## From clients",
    "",
    "| event | payload | data of the ack | meaning |",
    "|---|---|---|---|",
    ...rows.receive,
    "",
    "## From the server",
    "",
    "| event | payload | meaning |",
    "|---|---|---|",
    ...rows.send,
    "",
    "## Values",
    "",
    ...values(schemas),
  ].join("\n");
}
