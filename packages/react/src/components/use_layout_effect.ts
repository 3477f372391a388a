// An effect that runs before the browser paints, and not at all on a server.

import { useEffect, useLayoutEffect } from "react";

export const useBrowserLayoutEffect = typeof window === "undefined" ? useEffect : useLayoutEffect;
