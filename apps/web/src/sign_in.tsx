// The first page: a name in dev mode, a token otherwise.

import { useEffect, useRef, useState, type FormEvent } from "react";

import { Icon } from "../../shared/icon.tsx";
import { fromToken, signIn, SignInError, type Session } from "./session.ts";
import { lasting } from "../../shared/storage.ts";
import { ThemeToggle } from "../../shared/theme.tsx";

const LAST_NAME = "name";

export interface SignInProps {
  readonly dev: boolean;
  /** Why the user is here again. */
  readonly why: string | undefined;
  readonly onDone: (session: Session) => void;
}

export function SignIn({ dev, why, onDone }: SignInProps) {
  const last = dev ? lasting.read(LAST_NAME) : undefined;
  const [value, setValue] = useState(typeof last === "string" ? last : "");
  const [fault, setFault] = useState("");
  const [busy, setBusy] = useState(false);
  const field = useRef<HTMLInputElement & HTMLTextAreaElement>(null);
  useEffect(() => {
    field.current?.focus();
  }, []);
  const submit = async (event: FormEvent) => {
    event.preventDefault();
    const typed = value.trim();
    if (typed === "") {
      setFault(dev ? "Tell us a name first." : "Paste a token first.");
      return field.current?.focus();
    }
    setBusy(true);
    setFault("");
    try {
      const session = dev ? await signIn(typed) : fromToken(typed, Date.now());
      if (dev) lasting.write(LAST_NAME, typed);
      onDone(session);
    } catch (thrown) {
      setFault(thrown instanceof SignInError ? thrown.message : "Something went wrong. Try again.");
      setBusy(false);
      field.current?.focus();
    }
  };
  const shared = {
    ref: field,
    id: "sign-in-field",
    value,
    "aria-describedby": "sign-in-fault",
    "aria-invalid": fault !== "",
    onChange: ({ target }: { target: { value: string } }) => setValue(target.value),
  };
  return (
    <main className="sign-in">
      <div className="sign-in-corner">
        <ThemeToggle />
      </div>
      <div className="sign-in-card">
        <div className="mark">
          <Icon name="chat" />
        </div>
        <h1>Welcome to Roomful</h1>
        {why !== undefined && (
          <p className="sign-in-why" data-testid="sign-in-why" role="status">
            {why}
          </p>
        )}
        <form className="sign-in-form" noValidate onSubmit={(event) => void submit(event)}>
          <label htmlFor="sign-in-field">{dev ? "Your name" : "Your token"}</label>
          {dev ? (
            <input
              {...shared}
              className="field"
              data-testid="sign-in-name"
              type="text"
              maxLength={64}
              autoComplete="nickname"
              placeholder="Ada Lovelace"
            />
          ) : (
            <textarea
              {...shared}
              className="field mono"
              data-testid="sign-in-token"
              rows={4}
              spellCheck={false}
              autoComplete="off"
              placeholder="eyJhbGciOi…"
            />
          )}
          <p className="form-fault" data-testid="sign-in-error" id="sign-in-fault" role="alert">
            {fault}
          </p>
          <button
            className="button primary wide"
            data-testid="sign-in-submit"
            type="submit"
            disabled={busy}
          >
            {dev ? "Enter" : "Sign in"}
          </button>
        </form>
        <p className="hint">
          {dev ? (
            "This server runs in development mode: any name will do. Open a second window to talk to yourself."
          ) : (
            <>
              Make one with <code>roomful token --user alice</code> and paste it here.
            </>
          )}
        </p>
      </div>
    </main>
  );
}
