// Keeps the members of a room in its snapshot, with their roles and read marks.

import { Burst } from "./burst.ts";
import type { Member } from "./contract.ts";
import type { Member as ListedMember } from "./contract.generated.ts";
import { MemberList } from "./members.ts";
import type { RoomOptions } from "./room_options.ts";
import type { RoomSnapshot } from "./room_snapshot.ts";

/** The most members in a snapshot beside those who are online: one page of the server. */
const PAGE = 200;

/** The members of a room, kept up to date. */
export class RoomMembers extends MemberList {
  readonly #options: RoomOptions;
  readonly #patch: (fields: Partial<RoomSnapshot>) => void;
  readonly #asks: () => (members: readonly ListedMember[]) => void;
  #membershipChanged = false;
  readonly #fetches = new Burst(() => void this.#fetch());
  /** Runs `publish`. */
  readonly publishes = new Burst(() => this.publish());

  /** `asks` is called before each question for members, and what it returns with the answer. */
  constructor(
    options: RoomOptions,
    patch: (fields: Partial<RoomSnapshot>) => void,
    asks: () => (members: readonly ListedMember[]) => void,
  ) {
    super();
    this.#asks = asks;
    this.#options = options;
    this.#patch = patch;
  }

  /** Fetches those who are online, and after a change of the membership all members, once per burst. */
  fetchSoon(membership: boolean): void {
    this.#membershipChanged ||= membership;
    this.#fetches.soon();
  }

  close(): void {
    this.#fetches.cancel();
    this.publishes.cancel();
  }

  async #fetch(): Promise<void> {
    const { name: room, request } = this.#options;
    const fetchAll = this.#membershipChanged;
    this.#membershipChanged = false;
    const answered = fetchAll ? this.#asks() : undefined;
    try {
      const [{ users }, page] = await Promise.all([
        request("chat:get_online_users", { room }),
        fetchAll ? request("chat:get_members", { room, limit: PAGE }) : undefined,
      ]);
      this.setOnline(users);
      if (page) this.setListed(page.members as readonly Member[], page.next !== undefined);
      this.publish();
      if (page) answered?.(page.members);
    } catch {
      // The next change of presence fetches the list again.
      this.#membershipChanged ||= fetchAll;
    }
  }

  /** Shows the list in the snapshot. */
  publish(): void {
    const { userId, moderator } = this.#options;
    const listed = this.roleOf(userId() ?? "");
    const role = listed !== "owner" && moderator() ? "moderator" : listed;
    this.#patch({ members: this.all(), moreMembers: this.more, ...(role && { role }) });
  }
}
