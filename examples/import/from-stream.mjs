// Converts a channel export of Stream to the lines that `roomful import` reads.
//
//   node from-stream.mjs EXPORT.json > chat.ndjson
//
// A channel `messaging:general` becomes the private room `general`. Deleted messages, reactions and
// attachments stay behind.

import { readFileSync } from "node:fs";

const [file] = process.argv.slice(2);
if (!file) throw new Error("name the file of the export");

const print = (line) => process.stdout.write(`${JSON.stringify(line)}\n`);
const exported = JSON.parse(readFileSync(file, "utf8"));

for (const { channel, messages = [], members = [], reads = [] } of exported.channels ?? exported) {
  const room = channel.id;
  const kept = messages
    .filter(({ deleted_at: deleted, type, text }) => !deleted && type !== "system" && text)
    .map((message) => ({ ...message, at: Date.parse(message.created_at) }))
    .sort((a, b) => a.at - b.at);
  print({
    type: "room",
    room,
    kind: channel.type === "livestream" ? "public" : "private",
    ...(channel.created_at && { createdAt: Date.parse(channel.created_at) }),
  });
  const readAt = new Map(
    reads.map(({ user, user_id: id, last_read: at }) => [user?.id ?? id, Date.parse(at)]),
  );
  for (const { user, user_id: id, created_at: joined, channel_role: role } of members) {
    const userId = user?.id ?? id;
    const upTo = readAt.get(userId);
    print({
      type: "member",
      room,
      userId,
      role: role === "channel_moderator" ? "moderator" : "member",
      ...(joined && { joinedAt: Date.parse(joined) }),
      // Without a mark of Stream, everything counts as read.
      ...(upTo !== undefined && { lastRead: kept.findLast(({ at }) => at <= upTo)?.id ?? null }),
    });
  }
  for (const { id, text, user, at, ...rest } of kept) {
    const mentions = (rest.mentioned_users ?? []).map((mentioned) => mentioned.id ?? mentioned);
    const replyTo = rest.quoted_message_id || rest.parent_id;
    print({
      type: "message",
      room,
      id,
      userId: user.id,
      name: user.name ?? user.id,
      text,
      at,
      ...(replyTo && { replyTo }),
      ...(mentions.length > 0 && { mentions }),
    });
  }
}
