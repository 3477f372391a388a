// The reactions below a message, and the signs one can choose from.

import type { Chat } from "../chat/chat.ts";
import type { Message, Reactions } from "../contract.ts";
import { h } from "./dom.ts";

/** What is offered; others' apps may use other signs, which are shown as well. */
export const SIGNS: readonly { emoji: string; name: string }[] = [
  { emoji: "👍", name: "thumbs up" },
  { emoji: "❤️", name: "heart" },
  { emoji: "😂", name: "laughing" },
  { emoji: "🎉", name: "party" },
  { emoji: "😮", name: "surprised" },
  { emoji: "😢", name: "sad" },
];
const MOST_NAMES = 8;

/** One button per sign: a press adds the user's own or takes it back. */
export function reactionChips(chat: Chat, message: Message): HTMLElement[] {
  return (message.reactions ?? []).map((reactions) => {
    const { emoji, count, userIds } = reactions;
    const who = names(chat, reactions);
    return h(
      "button",
      {
        class: "chip",
        testid: "reaction",
        attrs: {
          type: "button",
          title: who,
          "aria-label": `${emoji} ${count}: ${who}`,
          "aria-pressed": String(userIds.includes(chat.me)),
          "data-emoji": emoji,
        },
        on: { click: () => void chat.changing.react(message, emoji) },
      },
      h("span", { class: "chip-sign" }, emoji),
      h("span", {}, String(count)),
    );
  });
}

function names(chat: Chat, { userIds, count }: Reactions): string {
  const shown = userIds
    .slice(0, MOST_NAMES)
    .map((userId) => (userId === chat.me ? "you" : chat.people.name(userId)));
  const rest = count - shown.length;
  return rest > 0 ? `${shown.join(", ")} and ${rest} more` : shown.join(", ");
}
