// The first page: a name in dev mode, a token otherwise.

import { SignInCard } from "../../shared/sign_in_card.tsx";
import { lasting } from "../../shared/storage.ts";
import { fromToken, signIn, SignInError, type Session } from "./session.ts";

const LAST_NAME = "name";

export interface SignInProps {
  readonly dev: boolean;
  /** Why the user is here again. */
  readonly why: string | undefined;
  readonly onDone: (session: Session) => void;
}

export function SignIn({ dev, ...props }: SignInProps) {
  return dev ? <ByName {...props} /> : <ByToken {...props} />;
}

function ByName({ why, onDone }: Omit<SignInProps, "dev">) {
  const last = lasting.read(LAST_NAME);
  return (
    <SignInCard
      icon="chat"
      title="Welcome to Roomful"
      why={why}
      label="Your name"
      action="Enter"
      missing="Tell us a name first."
      initial={typeof last === "string" ? last : ""}
      field={(props) => (
        <input
          {...props}
          data-testid="sign-in-name"
          type="text"
          maxLength={64}
          autoComplete="nickname"
          placeholder="Ada Lovelace"
        />
      )}
      submit={async (name) => {
        const session = await explained(() => signIn(name));
        lasting.write(LAST_NAME, name);
        onDone(session);
      }}
      hint="This server runs in development mode: any name will do. Open a second window to talk to yourself."
    />
  );
}

function ByToken({ why, onDone }: Omit<SignInProps, "dev">) {
  return (
    <SignInCard
      icon="chat"
      title="Welcome to Roomful"
      why={why}
      label="Your token"
      action="Sign in"
      missing="Paste a token first."
      field={(props) => (
        <textarea
          {...props}
          className="field mono"
          data-testid="sign-in-token"
          rows={4}
          spellCheck={false}
          autoComplete="off"
          placeholder="eyJhbGciOi…"
        />
      )}
      submit={async (token) => onDone(await explained(async () => fromToken(token, Date.now())))}
      hint={
        <>
          Make one with <code>roomful token --user alice</code> and paste it here.
        </>
      }
    />
  );
}

/** Only the messages of `SignInError` are for users. */
async function explained(attempt: () => Promise<Session>): Promise<Session> {
  try {
    return await attempt();
  } catch (thrown) {
    throw thrown instanceof SignInError ? thrown : new Error("Something went wrong. Try again.");
  }
}
