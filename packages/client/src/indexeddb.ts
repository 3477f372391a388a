// Storage in IndexedDB: one object store of JSON values by key.

import type { Storage } from "./storage.ts";

const TABLE = "values";

/** Opens the database `name`. Rejects where the browser refuses, such as in some private modes. */
export async function openIndexedDb(name: string): Promise<Storage> {
  // Loaded only when persistence is on.
  const { openDB } = await import("idb");
  const database = await openDB(name, 1, {
    upgrade: (db) => void db.createObjectStore(TABLE),
  });
  return {
    get: (key) => database.get(TABLE, key) as Promise<unknown>,
    set: async (key, value) => void (await database.put(TABLE, value, key)),
    delete: (key) => database.delete(TABLE, key),
    keys: async () => (await database.getAllKeys(TABLE)).map(String),
    clear: () => database.clear(TABLE),
  };
}
