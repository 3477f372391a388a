// The first page of an app: one field, why it is asked, and why the last attempt failed.

import {
  useEffect,
  useRef,
  useState,
  type ChangeEvent,
  type FormEvent,
  type ReactNode,
  type Ref,
} from "react";

import { Icon, type IconName } from "./icon.tsx";
import { ThemeToggle } from "./theme.tsx";

/** Attributes of the field. */
export interface FieldProps {
  readonly ref: Ref<HTMLInputElement & HTMLTextAreaElement>;
  readonly id: string;
  readonly className: string;
  readonly value: string;
  readonly "aria-describedby": string;
  readonly "aria-invalid": boolean;
  readonly onChange: (event: ChangeEvent<HTMLInputElement | HTMLTextAreaElement>) => void;
}

export interface SignInCardProps {
  readonly icon: IconName;
  readonly title: string;
  /** Why the user is here again. */
  readonly why: string | undefined;
  readonly label: string;
  /** The text of the button. */
  readonly action: string;
  readonly hint: ReactNode;
  readonly initial?: string;
  /** What the card says to an empty field. */
  readonly missing: string;
  readonly field: (props: FieldProps) => ReactNode;
  /** Signs in. The message of its error goes below the field. */
  readonly submit: (typed: string) => Promise<void>;
}

export function SignInCard(props: SignInCardProps) {
  const { icon, title, why, label, action, hint, initial = "", missing, field, submit } = props;
  const [value, setValue] = useState(initial);
  const [fault, setFault] = useState("");
  const [busy, setBusy] = useState(false);
  const element = useRef<HTMLInputElement & HTMLTextAreaElement>(null);
  useEffect(() => element.current?.focus(), []);
  const onSubmit = async (event: FormEvent) => {
    event.preventDefault();
    const typed = value.trim();
    setFault(typed === "" ? missing : "");
    if (typed === "") return element.current?.focus();
    setBusy(true);
    try {
      await submit(typed);
    } catch (thrown) {
      setFault(thrown instanceof Error ? thrown.message : String(thrown));
      setBusy(false);
      element.current?.focus();
    }
  };
  return (
    <main className="sign-in">
      <div className="sign-in-corner">
        <ThemeToggle />
      </div>
      <div className="sign-in-card">
        <div className="mark">
          <Icon name={icon} />
        </div>
        <h1>{title}</h1>
        {why !== undefined && (
          <p className="sign-in-why" data-testid="sign-in-why" role="status">
            {why}
          </p>
        )}
        <form
          className="sign-in-form"
          noValidate
          autoComplete="off"
          onSubmit={(event) => void onSubmit(event)}
        >
          <label htmlFor="sign-in-field">{label}</label>
          {field({
            ref: element,
            id: "sign-in-field",
            className: "field",
            value,
            "aria-describedby": "sign-in-fault",
            "aria-invalid": fault !== "",
            onChange: ({ target }) => setValue(target.value),
          })}
          <p className="form-fault" data-testid="sign-in-error" id="sign-in-fault" role="alert">
            {fault}
          </p>
          <button
            className="button primary wide"
            data-testid="sign-in-submit"
            type="submit"
            disabled={busy}
          >
            {action}
          </button>
        </form>
        <p className="hint">{hint}</p>
      </div>
    </main>
  );
}
