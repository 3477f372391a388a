// Starts the page: the kept session or the sign-in, then the chat. The only place where the parts meet the
// browser's globals.

import { Chat } from "./chat/chat.ts";
import { wallClock } from "./clock.ts";
import { devMode, forget, keep, kept, signIn, type Session } from "./session.ts";
import { lasting, perTab } from "./storage.ts";
import { shell } from "./view/shell.ts";
import { signInPage } from "./view/sign_in.ts";
import { applyTheme } from "./view/theme.ts";

async function askWho(root: HTMLElement, why?: string): Promise<void> {
  const dev = await devMode();
  root.replaceChildren(signInPage({ dev, why, done: (session) => enter(root, session) }));
  root.querySelector<HTMLElement>("#sign-in-field")?.focus();
}

function enter(root: HTMLElement, session: Session): void {
  keep(perTab, session);
  const renew = async (): Promise<Session> => {
    const next = await signIn(session.name);
    keep(perTab, next);
    return next;
  };
  let takeDown: () => void = () => undefined;
  const over = (why?: string): void => {
    chat.stop();
    takeDown();
    forget(perTab);
    void askWho(root, why);
  };
  const chat = new Chat({ session, clock: wallClock, lasting, perTab, renew, over });
  takeDown = shell(chat, root);
  chat.start();
}

function start(): void {
  const root = document.getElementById("app");
  if (!root) return;
  applyTheme();
  const session = kept(perTab);
  if (session && (session.renewable || session.expiresAt > Date.now())) enter(root, session);
  else void askWho(root, session ? "Your token has expired. Sign in again." : undefined);
}

start();
