// The strip that shows a lost or refused connection. It is empty while all is well.

import { useEffect, useState } from "react";

import { useConnection } from "../hooks.ts";
import { useTexts } from "../provider.tsx";
import { Icon } from "./icon.tsx";

/** Milliseconds for which a first connection may take its time before the banner shows it. */
const PATIENCE = 1_500;

/** Shows a lost or refused connection with a button that reconnects. Shows nothing while all is well. */
export function ConnectionBanner() {
  const texts = useTexts();
  const [{ state, reason }, connect] = useConnection();
  const [slow, setSlow] = useState(false);
  useEffect(() => {
    if (state !== "connecting") return setSlow(false);
    const timer = setTimeout(() => setSlow(true), PATIENCE);
    return () => clearTimeout(timer);
  }, [state]);
  const text =
    state === "offline"
      ? texts.connectionLost
      : state === "failed"
        ? texts.connectionFailed(reason)
        : state === "connecting" && slow
          ? texts.connecting
          : undefined;
  return (
    <div className="rf-banner-area" role="status">
      {text !== undefined && (
        <div className="rf-banner" data-testid="banner" data-kind={state}>
          <Icon name="alert" />
          <span>{text}</span>
          {state !== "connecting" && (
            <button type="button" className="rf-link" data-testid="banner-action" onClick={connect}>
              {texts.reconnect}
            </button>
          )}
        </div>
      )}
    </div>
  );
}
