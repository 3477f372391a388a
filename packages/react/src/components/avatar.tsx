// The face of a user without a picture: initials on the user's colour. Decoration: the name stands beside it.

import { hue, initials } from "../text/face.ts";

/** A user's initials on the user's colour, with a dot for the status. */
export function Avatar({ userId, name, status }: { userId: string; name: string; status?: string }) {
  return (
    <span className="rf-face" aria-hidden="true">
      <span className="rf-avatar" data-hue={hue(userId)}>
        {initials(name)}
      </span>
      {status !== undefined && <span className="rf-dot" data-status={status} />}
    </span>
  );
}
