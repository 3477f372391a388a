// The face of a user: their picture, or their initials on their colour.

import { useState } from "react";

import { hue, initials } from "../text/face.ts";
import { safeUrl } from "../text/safe_url.ts";

/** Props of `Avatar`. */
export interface AvatarProps {
  readonly userId: string;
  readonly name: string;
  /** The URL of the picture. Ignored unless it is http: or https:. */
  readonly src?: string | null | undefined;
  readonly status?: string;
  /** The text alternative. Default: none, for a face beside the name, where it would only repeat the name. */
  readonly alt?: string;
}

/** The URL of a picture that a browser may load. */
function pictureUrl(src: string | null | undefined): string | undefined {
  const url = src ? safeUrl(src) : undefined;
  return url?.startsWith("http") ? url : undefined;
}

/** A user's picture, or initials on the user's colour if none loads, with a dot for the status. */
export function Avatar({ userId, name, src, status, alt }: AvatarProps) {
  const [failed, setFailed] = useState<string>();
  const url = pictureUrl(src);
  return (
    <span className="rf-face" {...(alt ? { role: "img", "aria-label": alt } : { "aria-hidden": true })}>
      <span className="rf-avatar" data-hue={hue(userId)}>
        {url === undefined || url === failed ? (
          initials(name)
        ) : (
          <img
            src={url}
            alt=""
            loading="lazy"
            decoding="async"
            draggable={false}
            // Other sites must not learn where this app runs.
            referrerPolicy="no-referrer"
            onError={() => setFailed(url)}
          />
        )}
      </span>
      {status !== undefined && <span className="rf-dot" data-status={status} />}
    </span>
  );
}
