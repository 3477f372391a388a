// Starts the page: the sign-in, then the console. A reload forgets the key and asks again.

import "@roomful/react/styles/theme.css";
import "@roomful/react/styles/base.css";
import { StrictMode, useCallback, useState } from "react";
import { createRoot } from "react-dom/client";

import { applyTheme } from "../../shared/theme.tsx";
import { ConsoleContext, type Console } from "./console.ts";
import { Shell } from "./shell.tsx";
import { SignIn } from "./sign_in.tsx";
import "./styles/main.css";

function Page() {
  const [{ session, why }, setState] = useState<{ session?: Console; why?: string }>({});
  const leave = useCallback((reason?: string) => setState(reason === undefined ? {} : { why: reason }), []);
  if (!session)
    return (
      <SignIn
        why={why}
        onDone={(entered) => {
          entered.api.onRefused = leave;
          setState({ session: entered });
        }}
      />
    );
  return (
    <ConsoleContext value={session}>
      <Shell onLeave={leave} />
    </ConsoleContext>
  );
}

applyTheme();
const root = document.getElementById("app");
if (root)
  createRoot(root).render(
    <StrictMode>
      <Page />
    </StrictMode>,
  );
