// What the browser keeps for us, as JSON. A browser that refuses to store (private mode, full quota) costs
// only the memory across reloads, never the page.

export interface Shelf {
  read(key: string): unknown;
  write(key: string, value: unknown): void;
  remove(key: string): void;
}

export function shelf(storage: () => Storage): Shelf {
  return {
    read(key) {
      try {
        const text = storage().getItem(`roomful.${key}`);
        return text === null ? undefined : (JSON.parse(text) as unknown);
      } catch {
        return undefined;
      }
    },
    write(key, value) {
      try {
        storage().setItem(`roomful.${key}`, JSON.stringify(value));
      } catch {
        // Nothing to do: the value lives on in memory.
      }
    },
    remove(key) {
      try {
        storage().removeItem(`roomful.${key}`);
      } catch {
        // As above.
      }
    },
  };
}

/** Survives the browser; shared by all tabs. */
export const lasting = shelf(() => localStorage);
/** Survives a reload; belongs to this tab, so that two tabs may be two people. */
export const perTab = shelf(() => sessionStorage);
