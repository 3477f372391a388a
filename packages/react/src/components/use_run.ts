// Runs the user's actions, and keeps why the last one failed.

import { RequestError } from "@roomful/client";
import { useCallback, useState } from "react";

export function useRun(): readonly [string | undefined, (action: Promise<unknown>) => void] {
  const [failure, setFailure] = useState<string>();
  const run = useCallback((action: Promise<unknown>) => {
    setFailure(undefined);
    action.catch((thrown: unknown) =>
      setFailure(thrown instanceof RequestError ? thrown.failure.message : String(thrown)),
    );
  }, []);
  return [failure, run];
}
