// What every view uses: the API under the operator's key, and what the key may do.

import { createContext, useContext } from "react";

import type { Access } from "./access.ts";
import type { Api } from "./api.ts";

export interface Console {
  readonly api: Api;
  readonly access: Access;
}

export const ConsoleContext = createContext<Console | undefined>(undefined);

export function useConsole(): Console {
  const found = useContext(ConsoleContext);
  if (!found) throw new Error("a view is outside of the console");
  return found;
}
