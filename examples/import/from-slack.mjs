// Converts an unpacked Slack export to the lines that `roomful import` reads.
//
//   node from-slack.mjs EXPORT_FOLDER > chat.ndjson
//
// Channels become public rooms of the same name; private channels and direct messages become private rooms.
// Files, reactions and messages about joins stay behind.

import { existsSync, readdirSync, readFileSync } from "node:fs";
import { join } from "node:path";

const [folder] = process.argv.slice(2);
const fail = (what) => {
  console.error(`from-slack: ${what}`);
  process.exit(2);
};
if (!folder) fail("name the folder of the unpacked export: node from-slack.mjs EXPORT_FOLDER > chat.ndjson");
const LISTS = ["channels.json", "groups.json", "mpims.json", "dms.json"];
if (!LISTS.some((list) => existsSync(join(folder, list))))
  fail(`${folder} has none of Slack's lists, such as channels.json; name the folder of the unpacked export`);

const read = (name) =>
  existsSync(join(folder, name)) ? JSON.parse(readFileSync(join(folder, name), "utf8")) : [];
const print = (line) => process.stdout.write(`${JSON.stringify(line)}\n`);
const millis = (ts) => Math.round(Number(ts) * 1_000);

const names = new Map(
  read("users.json").map(({ id, name, profile = {} }) => [
    id,
    profile.display_name || profile.real_name || name,
  ]),
);

/** Kinds of messages that people wrote. */
const WRITTEN = new Set([undefined, "thread_broadcast", "me_message", "bot_message", "file_share"]);

/** Slack's markup as plain text: mentions, channels, links and entities. */
function plain(text) {
  return text
    .replace(/<@(\w+)(?:\|[^>]*)?>/g, (_, id) => `@${names.get(id) ?? id}`)
    .replace(/<#\w+\|([^>]*)>/g, "#$1")
    .replace(/<!(\w+)[^>]*>/g, "@$1")
    .replace(/<([^|>]+)\|([^>]+)>/g, "$2 ($1)")
    .replace(/<([^>]+)>/g, "$1")
    .replace(/&lt;/g, "<")
    .replace(/&gt;/g, ">")
    .replace(/&amp;/g, "&");
}

function convert({ id, name, created, members = [] }, kind) {
  const room = name ?? `dm-${id}`;
  const days = existsSync(join(folder, name ?? id)) ? readdirSync(join(folder, name ?? id)).sort() : [];
  const messages = days
    .flatMap((day) => read(join(name ?? id, day)))
    .filter(({ type, subtype, text }) => type === "message" && WRITTEN.has(subtype) && text)
    .sort((a, b) => Number(a.ts) - Number(b.ts));
  print({ type: "room", room, kind, ...(created && { createdAt: created * 1_000 }) });
  for (const userId of members) print({ type: "member", room, userId });
  for (const { ts, thread_ts: thread, user, bot_id: bot, username, text } of messages) {
    const userId = user ?? bot ?? "slack";
    const mentions = [...new Set([...text.matchAll(/<@(\w+)/g)].map(([, mentioned]) => mentioned))];
    print({
      type: "message",
      room,
      id: ts,
      userId,
      name: names.get(userId) ?? username ?? userId,
      text: plain(text),
      at: millis(ts),
      ...(thread && thread !== ts && { replyTo: thread }),
      ...(mentions.length > 0 && { mentions }),
    });
  }
}

for (const file of LISTS)
  for (const channel of read(file)) convert(channel, file === "channels.json" ? "public" : "private");
