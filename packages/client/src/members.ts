// The members of a room: those who are online, and listed ones with their roles and read marks. Pure.

import type { Member, Presence, Role } from "./contract.ts";

export class MemberList {
  #online: readonly Presence[] = [];
  /** Members by id. */
  readonly #listed = new Map<string, Member>();
  #more = false;

  setOnline(users: readonly Presence[]): void {
    this.#online = users;
  }

  /**
   * Replaces the listed members; `more` says that the room has members beside them. A live mark may be newer
   * than the page, and stays.
   */
  setListed(members: readonly Member[], more: boolean): void {
    const before = new Map(this.#listed);
    this.#listed.clear();
    this.#more = more;
    for (const member of members) {
      const readSeq = Math.max(member.readSeq ?? 0, before.get(member.userId)?.readSeq ?? 0);
      this.#listed.set(member.userId, { ...member, readSeq });
    }
  }

  /** A member has read up to `seq`. False if that changes nothing. */
  mark(userId: string, seq: number): boolean {
    const member = this.#listed.get(userId);
    if (!member || (member.readSeq ?? 0) >= seq) return false;
    this.#listed.set(userId, { ...member, readSeq: seq });
    return true;
  }

  /** A user has a new profile. False if they are no known member. */
  rename(userId: string, profile: Pick<Presence, "name" | "avatar">): boolean {
    const listed = this.#listed.get(userId);
    if (listed) this.#listed.set(userId, { ...listed, ...profile });
    const isOnline = this.#online.some((user) => user.userId === userId);
    if (isOnline)
      this.#online = this.#online.map((user) => (user.userId === userId ? { ...user, ...profile } : user));
    return listed !== undefined || isOnline;
  }

  clear(): void {
    this.#online = [];
    this.#listed.clear();
    this.#more = false;
  }

  /** The role of a user, or undefined if the list does not have them. */
  roleOf(userId: string): Role | undefined {
    return this.#listed.get(userId)?.role;
  }

  /** True if the room has members beside the known ones. */
  get more(): boolean {
    return this.#more;
  }

  /** All known members, those who are online first. */
  all(): readonly Member[] {
    const online = new Map(this.#online.map((presence) => [presence.userId, presence]));
    const offline = [...this.#listed.values()].filter(({ userId }) => !online.has(userId));
    return [
      ...[...online.values()].map((presence) => ({ ...this.#listed.get(presence.userId), ...presence })),
      ...offline.map((member) => ({ ...member, status: "offline" as const })),
    ];
  }
}
