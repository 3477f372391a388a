// The field for the API key.

import { useEffect, useRef, useState, type FormEvent } from "react";

import { Icon } from "../../shared/icon.tsx";
import { ThemeToggle } from "../../shared/theme.tsx";
import { Access } from "./access.ts";
import { Api } from "./api.ts";
import type { Console } from "./console.ts";

export interface SignInProps {
  /** Why the operator is here again. */
  readonly why: string | undefined;
  readonly onDone: (session: Console) => void;
}

export function SignIn({ why, onDone }: SignInProps) {
  const [key, setKey] = useState("");
  const [fault, setFault] = useState("");
  const [busy, setBusy] = useState(false);
  const field = useRef<HTMLInputElement>(null);
  useEffect(() => field.current?.focus(), []);
  const submit = async (event: FormEvent) => {
    event.preventDefault();
    const typed = key.trim();
    if (typed === "") {
      setFault("Enter an API key first.");
      return field.current?.focus();
    }
    setBusy(true);
    setFault("");
    try {
      const api = new Api(typed);
      onDone({ api, access: await Access.of(api) });
    } catch (thrown) {
      setFault(thrown instanceof Error ? thrown.message : String(thrown));
      setBusy(false);
      field.current?.focus();
    }
  };
  return (
    <main className="sign-in">
      <div className="sign-in-corner">
        <ThemeToggle />
      </div>
      <div className="sign-in-card">
        <div className="mark">
          <Icon name="gauge" />
        </div>
        <h1>Roomful console</h1>
        {why !== undefined && (
          <p className="sign-in-why" data-testid="sign-in-why" role="status">
            {why}
          </p>
        )}
        {/* Without a name, no form can put the field's value into a URL. */}
        <form
          className="sign-in-form"
          noValidate
          autoComplete="off"
          onSubmit={(event) => void submit(event)}
        >
          <label htmlFor="sign-in-field">API key</label>
          <input
            ref={field}
            id="sign-in-field"
            className="field"
            data-testid="sign-in-key"
            type="password"
            autoComplete="off"
            spellCheck={false}
            value={key}
            aria-describedby="sign-in-fault"
            aria-invalid={fault !== ""}
            onChange={(event) => setKey(event.target.value)}
          />
          <p className="form-fault" data-testid="sign-in-error" id="sign-in-fault" role="alert">
            {fault}
          </p>
          <button
            className="button primary wide"
            data-testid="sign-in-submit"
            type="submit"
            disabled={busy}
          >
            Sign in
          </button>
        </form>
        <p className="hint">
          The value of <code>api.key</code>, or one of <code>api.keys</code>. This page keeps it in memory
          only, so a reload asks again.
        </p>
      </div>
    </main>
  );
}
