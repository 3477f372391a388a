// JSON values in the storage of the browser. If it refuses (private mode, full quota), the page works and
// forgets them on a reload.

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
        // The page works without it.
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
/** Survives a reload; belongs to this tab. */
export const perTab = shelf(() => sessionStorage);
