// The page's location: the fragment of the URL. It names the view, what the view shows, and its filters.

import { useSyncExternalStore } from "react";

export interface Place {
  readonly view: string;
  /** The room or user that the view shows. */
  readonly name?: string | undefined;
  readonly query: URLSearchParams;
}

/** The place of a fragment such as `#/rooms/lobby?tab=bans`. */
export function parse(hash: string): Place {
  const [route = "", search = ""] = hash.replace(/^#\/?/, "").split("?", 2);
  const [view = "", name] = route.split("/").map(decode);
  return { view, name: name === "" ? undefined : name, query: new URLSearchParams(search) };
}

function decode(text: string): string {
  try {
    return decodeURIComponent(text);
  } catch {
    return text;
  }
}

/** The fragment of a place. */
export function href(
  view: string,
  name?: string,
  query: Readonly<Record<string, string | number | undefined>> = {},
): string {
  const route = name === undefined ? view : `${view}/${encodeURIComponent(name)}`;
  const given = Object.entries(query).flatMap(([key, value]) =>
    value === undefined || value === "" ? [] : [[key, String(value)]],
  );
  const search = new URLSearchParams(given).toString();
  return search === "" ? `#/${route}` : `#/${route}?${search}`;
}

export function go(to: string): void {
  location.hash = to;
}

function subscribe(listener: () => void): () => void {
  addEventListener("hashchange", listener);
  return () => removeEventListener("hashchange", listener);
}

/** The present place. */
export function usePlace(): Place {
  return parse(useSyncExternalStore(subscribe, () => location.hash));
}
