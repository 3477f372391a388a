// The line that names the nodes whose part of a list is missing.

import { Icon } from "../../shared/icon.tsx";

export function MissingNodes({ nodes }: { nodes: readonly string[] }) {
  if (nodes.length === 0) return null;
  return (
    <div className="notice" role="status" data-testid="missing-nodes">
      <Icon name="alert" />
      <p>
        Without <bdi>{nodes.join(", ")}</bdi>: no answer within a second.
      </p>
    </div>
  );
}
