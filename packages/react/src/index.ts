// The public surface of @roomful/react.
"use client";

export { Avatar, type AvatarProps } from "./components/avatar.tsx";
export { Chat, type ChatProps } from "./components/chat.tsx";
export { Composer, type ComposerProps } from "./components/composer.tsx";
export { ConnectionBanner } from "./components/connection_banner.tsx";
export { Members } from "./components/members.tsx";
export { EMOJIS, Message, type MessageProps } from "./components/message.tsx";
export { MessageList, type MessageListProps } from "./components/message_list.tsx";
export { NotificationBell, type NotificationBellProps } from "./components/notification_bell.tsx";
export { RoomList, type RoomListProps } from "./components/room_list.tsx";
export { TypingIndicator } from "./components/typing_indicator.tsx";
export { usePopup, type Popup } from "./components/use_popup.ts";
export {
  useBlocks,
  useConnection,
  useInbox,
  useMessages,
  useNames,
  useNotifications,
  usePresence,
  useReply,
  useRoom,
  useStore,
  useTyping,
  useUserId,
  type MessagesView,
} from "./hooks.ts";
export { RoomfulProvider, useClient, useTexts, type RoomfulProviderProps } from "./provider.tsx";
export { Markdown, plainText, type MarkdownProps } from "./text/markdown.tsx";
export { safeUrl } from "./text/safe_url.ts";
export type { Names } from "./text/names.ts";
export { english, type Texts } from "./text/texts.ts";
