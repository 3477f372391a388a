// The field for the API key.

import { SignInCard } from "../../shared/sign_in_card.tsx";
import { Access } from "./access.ts";
import { Api } from "./api.ts";
import type { Console } from "./console.ts";

export interface SignInProps {
  /** Why the operator is here again. */
  readonly why: string | undefined;
  readonly onDone: (session: Console) => void;
}

export function SignIn({ why, onDone }: SignInProps) {
  return (
    <SignInCard
      icon="gauge"
      title="Roomful console"
      why={why}
      label="API key"
      action="Sign in"
      missing="Enter an API key first."
      // Without a name, no form can put the field's value into a URL.
      field={(props) => (
        <input
          {...props}
          data-testid="sign-in-key"
          type="password"
          autoComplete="off"
          spellCheck={false}
        />
      )}
      submit={async (typed) => {
        const api = new Api(typed);
        onDone({ api, access: await Access.of(api) });
      }}
      hint={
        <>
          The value of <code>api.key</code>, or one of <code>api.keys</code>. This page keeps it in memory
          only, so a reload asks again.
        </>
      }
    />
  );
}
