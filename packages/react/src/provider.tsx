// Gives the components below it a client, their texts and their language.

import type { RoomfulClient, RoomMessage } from "@roomful/client";
import { createContext, useContext, useEffect, useMemo, type ReactNode } from "react";

import { Cell } from "./cell.ts";
import { english, type Texts } from "./text/texts.ts";

/** What the components share. */
interface Shared {
  readonly client: RoomfulClient;
  readonly texts: Texts;
  readonly locale: string | undefined;
  /** For each room, the message that the composer replies to. */
  readonly replies: Map<string, Cell<RoomMessage | undefined>>;
}

const Context = createContext<Shared | undefined>(undefined);

/** Props of `RoomfulProvider`. */
export interface RoomfulProviderProps {
  readonly client: RoomfulClient;
  /** Replaces some or all texts. Keep the object's identity between renders. */
  readonly texts?: Partial<Texts>;
  /** Language tag for times and dates, such as `de`. Default: the browser's. */
  readonly locale?: string;
  /** Whether the provider connects the client when it mounts. Default: true. */
  readonly connect?: boolean;
  readonly children?: ReactNode;
}

/** Gives the components below it a client, and connects it. */
export function RoomfulProvider({ client, texts, locale, connect = true, children }: RoomfulProviderProps) {
  const shared = useMemo<Shared>(
    () => ({ client, texts: { ...english, ...texts }, locale, replies: new Map() }),
    [client, texts, locale],
  );
  useEffect(() => {
    // Strict mode runs effects twice, and a second connect() would interrupt the first.
    if (connect && client.connection.getSnapshot().state === "idle") client.connect();
  }, [client, connect]);
  return <Context.Provider value={shared}>{children}</Context.Provider>;
}

function useShared(): Shared {
  const shared = useContext(Context);
  if (!shared)
    throw new Error("There is no RoomfulProvider above this component. Put one around your app.");
  return shared;
}

/** The client of the provider above. */
export const useClient = (): RoomfulClient => useShared().client;

/** The texts of the provider above. */
export const useTexts = (): Texts => useShared().texts;

/** The language tag of the provider above, or undefined for the browser's. */
export const useLocale = (): string | undefined => useShared().locale;

/** The cell with the message that the room's composer replies to. */
export function useReplyCell(room: string): Cell<RoomMessage | undefined> {
  const { replies } = useShared();
  let cell = replies.get(room);
  if (!cell) replies.set(room, (cell = new Cell<RoomMessage | undefined>(undefined)));
  return cell;
}
