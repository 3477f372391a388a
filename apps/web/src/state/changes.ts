// What edits, deletes and reactions make of a message. Values in, values out: a message is never altered in
// place.

import type { Change, Message, Reactions } from "../contract.ts";

/** The message after a change; the same object if it makes no difference. */
export function changed(message: Message, change: Change): Message {
  if (message.deleted) return message;
  switch (change.type) {
    case "deleted": {
      const { id, room, seq, userId, name, at, clientId } = message;
      return {
        id,
        room,
        seq,
        userId,
        ...(name !== undefined && { name }),
        ...(clientId !== undefined && { clientId }),
        text: "",
        at,
        deleted: true,
      };
    }
    case "edited":
      // An edit that was overtaken by a later one changes nothing any more.
      if (
        change.at < (message.editedAt ?? 0) ||
        (change.at === message.editedAt && change.text === message.text)
      )
        return message;
      return { ...message, text: change.text ?? "", editedAt: change.at };
    case "reaction":
      return withReaction(message, change);
  }
}

/** True if the user is known to have reacted so. */
export function reacted(message: Message, emoji: string, userId: string): boolean {
  return (
    message.reactions?.some((other) => other.emoji === emoji && other.userIds.includes(userId)) ?? false
  );
}

function withReaction(message: Message, { emoji = "", removed, userId }: Change): Message {
  const all = message.reactions ?? [];
  const known = all.find((other) => other.emoji === emoji);
  const there = known?.userIds.includes(userId) ?? false;
  // Beyond the bounded list, the page cannot tell whether a user is counted. It trusts a removal, since the
  // server sends one only if it took effect.
  const beyond = known !== undefined && known.count > known.userIds.length;
  if (removed ? !there && !beyond : there) return message;
  const next: Reactions = removed
    ? {
        emoji,
        userIds: known?.userIds.filter((other) => other !== userId) ?? [],
        count: (known?.count ?? 1) - 1,
      }
    : { emoji, userIds: [...(known?.userIds ?? []), userId], count: (known?.count ?? 0) + 1 };
  const reactions = known ? all.map((other) => (other === known ? next : other)) : [...all, next];
  return { ...message, reactions: reactions.filter(({ count }) => count > 0) };
}
