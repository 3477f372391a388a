// Starts the page: the kept session or the sign-in, then the chat.

import "@roomful/react/styles.css";
import { StrictMode, useCallback, useEffect, useState } from "react";
import { createRoot } from "react-dom/client";

import { devMode, forget, keep, kept, type Session } from "./session.ts";
import { Shell } from "./shell.tsx";
import { SignIn } from "./sign_in.tsx";
import { perTab } from "../../shared/storage.ts";
import "./styles/main.css";
import { applyTheme } from "../../shared/theme.tsx";

/** The kept session, unless its token has expired and cannot be renewed. */
function first(): { session?: Session; why?: string } {
  const session = kept(perTab);
  if (!session) return {};
  if (session.renewable || session.expiresAt > Date.now()) return { session };
  return { why: "Your token has expired. Sign in again." };
}

function Page() {
  const [{ session, why }, setState] = useState(first);
  const [dev, setDev] = useState<boolean>();
  const asks = session === undefined;
  useEffect(() => {
    if (asks) void devMode().then(setDev);
  }, [asks]);
  const leave = useCallback((reason?: string) => {
    forget(perTab);
    setState(reason === undefined ? {} : { why: reason });
  }, []);
  if (session) return <Shell key={session.userId} session={session} onLeave={leave} />;
  if (dev === undefined) return null;
  const enter = (next: Session) => {
    keep(perTab, next);
    setState({ session: next });
  };
  return <SignIn dev={dev} why={why} onDone={enter} />;
}

applyTheme();
const root = document.getElementById("app");
if (root)
  createRoot(root).render(
    <StrictMode>
      <Page />
    </StrictMode>,
  );
