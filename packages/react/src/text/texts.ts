// All texts of the components, in English. Pass your own to the provider.

/** The texts of the components. Functions get what they have to name. */
export interface Texts {
  readonly rooms: string;
  readonly noRooms: string;
  readonly messagesIn: (room: string) => string;
  readonly noMessages: string;
  readonly noMessagesHint: string;
  readonly loadingMessages: string;
  readonly olderFailed: string;
  readonly startOfRoom: string;
  readonly tryAgain: string;
  readonly newMessages: string;
  readonly away: (missed: number) => string;
  readonly jumpToLatest: (unseen: number) => string;
  readonly announce: (name: string, text: string) => string;
  readonly today: string;
  readonly yesterday: string;
  readonly edited: string;
  readonly deleted: string;
  readonly sending: string;
  readonly notSent: (reason: string) => string;
  readonly retry: string;
  readonly discard: string;
  readonly readBy: (names: readonly string[]) => string;
  readonly actions: string;
  readonly react: string;
  readonly reactWith: (emoji: string) => string;
  readonly reaction: (emoji: string, count: number, names: readonly string[]) => string;
  readonly you: string;
  readonly reply: string;
  readonly replyingTo: (name: string) => string;
  readonly repliesTo: (name: string) => string;
  readonly earlierMessage: string;
  readonly cancelReply: string;
  readonly edit: string;
  readonly editMessage: string;
  readonly save: string;
  readonly cancel: string;
  readonly remove: string;
  readonly removeSure: string;
  readonly actionFailed: (reason: string) => string;
  readonly message: (room: string) => string;
  readonly send: string;
  readonly mention: string;
  readonly mentionCount: (count: number) => string;
  readonly typing: (names: readonly string[]) => string;
  readonly members: string;
  readonly online: (count: number) => string;
  /** `more` is true if the room has members beside the counted ones. */
  readonly offline: (count: number, more: boolean) => string;
  readonly status: (status: string) => string;
  readonly unread: (count: number, mentions: number) => string;
  readonly notifications: (unread: number) => string;
  readonly noNotifications: string;
  readonly markAllRead: string;
  readonly more: string;
  readonly connecting: string;
  readonly connectionLost: string;
  readonly connectionFailed: (reason: string | undefined) => string;
  readonly roomRefused: (reason: string) => string;
  readonly cached: string;
  readonly reconnect: string;
  readonly close: string;
  readonly moreActions: (name: string) => string;
  readonly moderation: string;
  readonly freeze: string;
  readonly slowMode: string;
  readonly off: string;
  /** A length of time, such as "10 minutes". */
  readonly span: (seconds: number) => string;
  readonly mute: string;
  readonly unmute: string;
  readonly ban: string;
  readonly unban: string;
  readonly deleteAll: string;
  readonly block: string;
  readonly unblock: string;
  readonly blockUser: (name: string) => string;
  readonly blockHint: string;
  readonly blockedMessage: string;
  readonly report: string;
  readonly reportMessageOf: (name: string) => string;
  readonly reportHint: string;
  readonly reportReason: string;
  readonly reportReasons: (reason: "spam" | "harassment" | "hate" | "other") => string;
  readonly reportText: string;
  readonly sendReport: string;
  readonly reported: string;
  readonly show: string;
  readonly muteUser: (name: string) => string;
  readonly muteHint: string;
  readonly banUser: (name: string) => string;
  readonly banHint: string;
  readonly deleteAllOf: (name: string) => string;
  readonly deleteAllHint: string;
  readonly duration: string;
  readonly noEnd: string;
  readonly reason: string;
  readonly alsoDeleteMessages: string;
  readonly frozen: string;
  readonly frozenForOthers: string;
  readonly slowModeIs: (pause: string) => string;
  readonly writeAgainIn: (wait: string) => string;
  /** `until` is a time, or undefined if it is open or unknown. */
  readonly youAreMuted: (until: string | undefined, reason: string | undefined) => string;
  readonly bannedFrom: (room: string, until: string | undefined, reason: string | undefined) => string;
  readonly removedFrom: (room: string) => string;
  readonly roomDeleted: (room: string) => string;
}

const plural = (count: number, one: string, many: string): string => `${count} ${count === 1 ? one : many}`;

/** Joins names as a sentence does; beyond three, it counts. */
function listed(names: readonly string[], others: string): string {
  if (names.length <= 1) return names[0] ?? "";
  if (names.length <= 3) return `${names.slice(0, -1).join(", ")} and ${names.at(-1)}`;
  return `${names.slice(0, 2).join(", ")} and ${names.length - 2} ${others}`;
}

const UNITS = [
  [86_400, "day", "days"],
  [3_600, "hour", "hours"],
  [60, "minute", "minutes"],
  [1, "second", "seconds"],
] as const;

/** A length of time in the largest unit that divides it, or in minutes and seconds. */
function span(seconds: number): string {
  const [size, one, many] = UNITS.find(([unit]) => seconds >= unit && seconds % unit === 0) ?? UNITS[3];
  if (size > 1 || seconds < 60) return plural(seconds / size, one, many);
  return `${Math.floor(seconds / 60)} min ${seconds % 60} s`;
}

const because = (reason: string | undefined): string => (reason ? ` Reason: ${reason}` : "");

const REPORT_REASONS = {
  spam: "It is spam",
  harassment: "It insults or threatens somebody",
  hate: "It is hateful",
  other: "Something else",
} as const;

const STATUSES: Readonly<Record<string, string>> = {
  online: "Online",
  away: "Away",
  busy: "Busy",
  invisible: "Invisible",
  offline: "Offline",
};

/** The default texts. */
export const english: Texts = {
  rooms: "Rooms",
  noRooms: "You are in no room yet.",
  messagesIn: (room) => `Messages in ${room}`,
  noMessages: "No messages yet",
  noMessagesHint: "Say hello. Everybody in this room will see it.",
  loadingMessages: "Loading messages",
  olderFailed: "Older messages could not be loaded.",
  startOfRoom: "This is the start of the room.",
  tryAgain: "Try again",
  newMessages: "New messages",
  away: (missed) => `You were away: ${missed} missed`,
  jumpToLatest: (unseen) => (unseen > 0 ? plural(unseen, "new message", "new messages") : "Jump to latest"),
  announce: (name, text) => `${name}: ${text}`,
  today: "Today",
  yesterday: "Yesterday",
  edited: "(edited)",
  deleted: "This message was deleted",
  sending: "Sending",
  notSent: (reason) => `Not sent: ${reason}`,
  retry: "Retry",
  discard: "Discard",
  readBy: (names) => `Read by ${listed(names, "others")}`,
  actions: "Actions",
  react: "React",
  reactWith: (emoji) => `React with ${emoji}`,
  reaction: (emoji, count, names) => `${emoji} ${count}: ${names.join(", ")}`,
  you: "you",
  reply: "Reply",
  replyingTo: (name) => `Replying to ${name}`,
  repliesTo: (name) => `Reply to ${name}`,
  earlierMessage: "Earlier message",
  cancelReply: "Cancel reply",
  edit: "Edit",
  editMessage: "Edit message",
  save: "Save",
  cancel: "Cancel",
  remove: "Delete",
  removeSure: "Delete this message?",
  actionFailed: (reason) => `That did not work: ${reason}`,
  message: (room) => `Message ${room}`,
  send: "Send",
  mention: "People to mention",
  mentionCount: (count) => plural(count, "person to mention", "people to mention"),
  typing: (names) =>
    names.length > 3
      ? "Several people are typing"
      : `${listed(names, "others")} ${names.length === 1 ? "is" : "are"} typing`,
  members: "Members",
  online: (count) => `Online: ${count}`,
  offline: (count, more) => `Offline: ${count}${more ? " or more" : ""}`,
  status: (status) => STATUSES[status] ?? status,
  unread: (count, mentions) =>
    `${count} unread${mentions > 0 ? `, ${plural(mentions, "mention", "mentions")}` : ""}`,
  notifications: (unread) => (unread > 0 ? `Notifications, ${unread} unread` : "Notifications"),
  noNotifications: "No notifications yet.",
  markAllRead: "Mark all as read",
  more: "Show more",
  connecting: "Connecting …",
  connectionLost: "You are offline. Your messages are sent once the connection is back.",
  connectionFailed: (reason) => `You are disconnected. ${reason ?? ""}`.trim(),
  roomRefused: (reason) => `You cannot open this room: ${reason}`,
  cached: "Saved messages",
  reconnect: "Reconnect",
  close: "Close",
  moreActions: (name) => `More actions for ${name}`,
  moderation: "Moderation",
  freeze: "Freeze the room",
  slowMode: "Slow mode",
  off: "Off",
  span,
  mute: "Mute …",
  unmute: "Unmute",
  ban: "Ban …",
  unban: "Unban",
  deleteAll: "Delete all messages …",
  block: "Block …",
  unblock: "Unblock",
  blockUser: (name) => `Block ${name}`,
  blockHint:
    "Their messages hide behind a line, and their mentions do not reach you. They do not learn of it. " +
    "In a private room of the two of you, neither can write.",
  blockedMessage: "Message of a blocked user",
  report: "Report …",
  reportMessageOf: (name) => `Report a message of ${name}`,
  reportHint: "Moderators get a copy of the message. The author does not learn of it.",
  reportReason: "What is wrong with it?",
  reportReasons: (reason) => REPORT_REASONS[reason],
  reportText: "Anything else that moderators should know",
  sendReport: "Send report",
  reported: "Thank you. The moderators will look at the message.",
  show: "Show",
  muteUser: (name) => `Mute ${name}`,
  muteHint: "A muted user can read this room, and cannot write in it.",
  banUser: (name) => `Ban ${name}`,
  banHint: "A banned user loses this room and cannot join it again.",
  deleteAllOf: (name) => `Delete all messages of ${name}?`,
  deleteAllHint: "Nobody will see their messages in this room any more. You cannot undo this.",
  duration: "How long",
  noEnd: "Until a moderator ends it",
  reason: "Reason (the user sees it)",
  alsoDeleteMessages: "Also delete all their messages in this room",
  frozen: "This room is frozen. Only moderators can write.",
  frozenForOthers: "This room is frozen: members cannot write.",
  slowModeIs: (pause) => `Slow mode: one message every ${pause}.`,
  writeAgainIn: (wait) => `You can write again in ${wait}.`,
  youAreMuted: (until, reason) =>
    `You are muted in this room${until === undefined ? "" : ` until ${until}`}.${because(reason)}`,
  bannedFrom: (room, until, reason) =>
    `You are banned from ${room}${until === undefined ? "" : ` until ${until}`}.${because(reason)}`,
  removedFrom: (room) => `You are no longer a member of ${room}.`,
  roomDeleted: (room) => `The room ${room} was deleted.`,
};
