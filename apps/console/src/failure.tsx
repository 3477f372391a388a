// The line that says why a request failed.

import { Icon } from "../../shared/icon.tsx";
import type { CallError } from "./api.ts";
import { Prose } from "./prose.tsx";

export function Failure({ error, retry }: { error: CallError | undefined; retry: () => void }) {
  if (!error) return null;
  return (
    <div className="failure" role="alert" data-testid="failure">
      <Icon name="alert" />
      <p>
        <Prose text={error.message} />
      </p>
      {/* What is not there now is not there a second later. */}
      {error.status !== 404 && (
        <button type="button" className="button" onClick={retry}>
          Try again
        </button>
      )}
    </div>
  );
}
