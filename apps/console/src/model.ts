// Answers of the HTTP API, as docs/openapi.json describes them: the fields that the console shows.

export interface Figures {
  readonly connections: number;
  readonly users: number;
  readonly rooms: number;
  readonly messagesInPerSecond: number;
  readonly messagesOutPerSecond: number;
}

export interface Stats extends Figures {
  readonly messagesIn: number;
  readonly messagesOut: number;
  readonly nodes: readonly (Figures & { readonly node: string })[];
}

export interface StatsHistory {
  readonly intervalMs: number;
  readonly samples: readonly (Figures & { readonly at: number })[];
}

export interface Room {
  readonly room: string;
  readonly kind: "public" | "private";
  readonly epoch: string;
  readonly head: number;
  readonly first: number;
  readonly history?: number | null;
  readonly createdAt: number;
}

export interface RoomDetails extends Room {
  readonly members: number;
  readonly online: number;
  readonly slowMode: number;
  readonly frozen: boolean;
}

export interface Member {
  readonly userId: string;
  readonly role: string;
  readonly joinedAt: number;
  readonly readSeq: number;
  /** The mute for the room. */
  readonly muted?: Sanction;
}

export interface Message {
  readonly seq: number;
  readonly userId: string;
  readonly name?: string | null;
  readonly at: number;
  readonly text: string;
  readonly editedAt?: number | null;
  readonly deleted?: boolean;
}

export interface User {
  readonly userId: string;
  readonly name?: string | null;
  readonly status: string;
  readonly text?: string | null;
  readonly lastSeen?: number | null;
  readonly devices: readonly Device[];
}

export interface Device {
  readonly sessionId: string;
  readonly rooms: number;
  readonly expiresAt: number;
}

export interface Connection {
  readonly sessionId: string;
  readonly userId: string;
  readonly name?: string | null;
  readonly device?: string | null;
  readonly node: string;
  readonly address?: string | null;
  readonly transport: string;
  readonly connectedAt: number;
  readonly expiresAt?: number | null;
  readonly rooms: number;
  readonly queuedBytes: number;
}

export type SanctionKind = "ban" | "mute";

export interface Sanction {
  readonly room?: string | null;
  readonly userId: string;
  readonly kind: SanctionKind;
  readonly until?: number | null;
  readonly reason?: string | null;
  readonly actor: string;
  readonly at: number;
}

/** A record of an event for one webhook or stream. */
export interface WebhookRecord {
  readonly id: string;
  readonly event: string;
  readonly sink: string;
  readonly state: "pending" | "delivered" | "dead";
  /** Those that failed. */
  readonly attempts: number;
  readonly at: number;
  readonly error?: string;
  readonly room?: string;
}

export interface Explanation {
  readonly room: string;
  readonly seq: number;
  readonly user: string;
  readonly message: {
    readonly author: string;
    readonly committedAt: number;
    readonly editedAt?: number | null;
    readonly deleted: boolean;
  };
  readonly member: {
    readonly role: string;
    readonly readSeq: number;
  } | null;
  readonly delivered: boolean;
  readonly read: boolean;
  readonly banned: boolean;
  readonly muted: boolean;
  readonly devices: readonly (Connection & { readonly connectedThen: boolean })[];
  readonly missingNodes: readonly string[];
  readonly lastSeen?: number | null;
  readonly webhooks: readonly WebhookRecord[];
  readonly findings: readonly string[];
}
