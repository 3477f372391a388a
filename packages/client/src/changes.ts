// Applies edits, deletions and reactions to a message. Pure: a message is never changed in place.

import type { Change, Message, Reaction } from "./contract.ts";

/**
 * The message after a change; the same object if the change makes no difference. Apply changes in log
 * order.
 */
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
      return { ...message, text: change.text ?? "", editedAt: change.at };
    case "reaction":
      return withReaction(message, change);
  }
}

function withReaction(message: Message, { emoji = "", removed, userId, mine: own }: Change): Message {
  const all = message.reactions ?? [];
  const known = all.find((other) => other.emoji === emoji);
  const told = known && own ? known.mine : undefined;
  const there = told ?? known?.userIds.includes(userId) ?? false;
  // Beyond the bounded list, the client cannot tell whether another user is counted. It trusts a removal,
  // since the server sends one only if it took effect.
  const beyond = told === undefined && known !== undefined && known.count > known.userIds.length;
  if (removed ? !there && !beyond : there) return message;
  const userIds = known?.userIds.filter((other) => other !== userId) ?? [];
  const mine = own ? !removed : (known?.mine ?? false);
  const next: Reaction = removed
    ? { emoji, userIds, count: (known?.count ?? 1) - 1, mine }
    : { emoji, userIds: [...userIds, userId], count: (known?.count ?? 0) + 1, mine };
  const reactions = known ? all.map((other) => (other === known ? next : other)) : [...all, next];
  return { ...message, reactions: reactions.filter(({ count }) => count > 0) };
}
