// The first page: a name in dev mode, a token otherwise.

import { fromToken, signIn, SignInError, type Session } from "../session.ts";
import { lasting } from "../storage.ts";
import { h, setText } from "./dom.ts";
import { icon } from "./icon.ts";
import { themeToggle } from "./theme.ts";

const LAST_NAME = "name";

export interface SignInParts {
  dev: boolean;
  /** Why the user is here again. */
  why?: string | undefined;
  done: (session: Session) => void;
}

export function signInPage({ dev, why, done }: SignInParts): HTMLElement {
  const field = dev ? nameField() : tokenField();
  const fault = h("p", {
    class: "form-fault",
    testid: "sign-in-error",
    attrs: { role: "alert", id: "sign-in-fault" },
  });
  const submit = h(
    "button",
    { class: "button primary wide", testid: "sign-in-submit", attrs: { type: "submit" } },
    dev ? "Enter" : "Sign in",
  );
  const form = h(
    "form",
    { class: "sign-in-form", attrs: { novalidate: true } },
    h("label", { attrs: { for: "sign-in-field" } }, dev ? "Your name" : "Your token"),
    field,
    fault,
    submit,
  );
  const say = (text: string): void => {
    setText(fault, text);
    field.setAttribute("aria-invalid", String(text !== ""));
  };
  form.addEventListener("submit", async (event) => {
    event.preventDefault();
    const value = field.value.trim();
    if (value === "") {
      say(dev ? "Tell us a name first." : "Paste a token first.");
      return field.focus();
    }
    submit.disabled = true;
    say("");
    try {
      const session = dev ? await signIn(value) : fromToken(value, Date.now());
      if (dev) lasting.write(LAST_NAME, value);
      done(session);
    } catch (thrown) {
      say(thrown instanceof SignInError ? thrown.message : "Something went wrong. Try again.");
      submit.disabled = false;
      field.focus();
    }
  });
  const hint = dev
    ? h(
        "p",
        { class: "hint" },
        "This server runs in development mode: any name will do. Open a second window to talk to yourself.",
      )
    : h(
        "p",
        { class: "hint" },
        "Make one with ",
        h("code", {}, "roomful token --user alice"),
        " and paste it here.",
      );
  return h(
    "main",
    { class: "sign-in" },
    h("div", { class: "sign-in-corner" }, themeToggle()),
    h(
      "div",
      { class: "sign-in-card" },
      h("div", { class: "mark" }, icon("chat")),
      h("h1", {}, "Welcome to Roomful"),
      why
        ? h("p", { class: "sign-in-why", testid: "sign-in-why", attrs: { role: "status" } }, why)
        : undefined,
      form,
      hint,
    ),
  );
}

function nameField(): HTMLInputElement {
  const field = h("input", {
    class: "field",
    testid: "sign-in-name",
    attrs: {
      id: "sign-in-field",
      type: "text",
      maxlength: 64,
      autocomplete: "nickname",
      placeholder: "Ada Lovelace",
      autofocus: true,
      "aria-describedby": "sign-in-fault",
    },
  });
  const last = lasting.read(LAST_NAME);
  if (typeof last === "string") field.value = last;
  return field;
}

function tokenField(): HTMLTextAreaElement {
  return h("textarea", {
    class: "field mono",
    testid: "sign-in-token",
    attrs: {
      id: "sign-in-field",
      rows: 4,
      spellcheck: "false",
      autocomplete: "off",
      placeholder: "eyJhbGciOi…",
      autofocus: true,
      "aria-describedby": "sign-in-fault",
    },
  });
}
