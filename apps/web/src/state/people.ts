// What we have learnt about people's names. Presence belongs to the rooms.

/** Names kept; the ones learnt first go first. */
const MOST = 2_000;

export class People {
  private readonly names = new Map<string, string>();

  learn(userId: string, name: string | null | undefined): void {
    if (!name) return;
    this.names.delete(userId);
    this.names.set(userId, name);
    if (this.names.size > MOST) {
      const oldest = this.names.keys().next().value;
      if (oldest !== undefined) this.names.delete(oldest);
    }
  }

  name(userId: string): string {
    return this.names.get(userId) ?? userId;
  }

  knows(userId: string): boolean {
    return this.names.has(userId);
  }
}
