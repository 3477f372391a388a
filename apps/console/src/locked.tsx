// The line in place of a view that the key may not see: the missing scopes.

import { Icon } from "../../shared/icon.tsx";
import { useConsole } from "./console.ts";

/** Says which scope `what` needs, such as "The list of rooms". Shows nothing for a key that has it. */
export function Locked({ what, route }: { what: string; route: string }) {
  const { access } = useConsole();
  const missing = access.missing("get", route);
  if (missing?.length === 0) return null;
  return (
    <p className="locked" data-testid="locked" data-route={route}>
      <Icon name="lock" />
      {missing
        ? `${what}: your key lacks the scope ${missing.join(", ")}.`
        : `${what}: this server does not have it.`}
    </p>
  );
}
