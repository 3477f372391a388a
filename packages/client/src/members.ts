// The members of a room: those who are online, and listed ones with their roles and read marks. Pure.

import type { Member, Presence, Role } from "./contract.ts";

export class MemberList {
  /** By id, like the members. */
  #online = new Map<string, Presence>();
  readonly #listed = new Map<string, Member>();
  /** True if the room has members beside the known ones. */
  more = false;

  setOnline(users: readonly Presence[]): void {
    this.#online = new Map(users.map((user) => [user.userId, user]));
  }

  /**
   * Replaces the listed members; `more` says that the room has members beside them. A live mark may be newer
   * than the page, and stays.
   */
  setListed(members: readonly Member[], more: boolean): void {
    const before = new Map(this.#listed);
    this.#listed.clear();
    this.more = more;
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
    let known = false;
    for (const users of [this.#online, this.#listed] as Map<string, Presence>[]) {
      const user = users.get(userId);
      if (!user) continue;
      users.set(userId, { ...user, ...profile });
      known = true;
    }
    return known;
  }

  clear(): void {
    this.#online.clear();
    this.#listed.clear();
    this.more = false;
  }

  /** The role of a user, or undefined if the list does not have them. */
  roleOf(userId: string): Role | undefined {
    return this.#listed.get(userId)?.role;
  }

  /** All known members, those who are online first. */
  all(): readonly Member[] {
    const all = new Map<string, Member>(this.#online);
    for (const [userId, member] of this.#listed)
      all.set(userId, { ...member, ...(this.#online.get(userId) ?? { status: "offline" }) });
    return [...all.values()];
  }
}
