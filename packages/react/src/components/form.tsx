// A dialog with a form: it closes once its action has worked, and shows why it failed.

import { RequestError } from "@roomful/client";
import { useState, type ReactNode } from "react";

import { useTexts } from "../provider.tsx";
import { Dialog } from "./dialog.tsx";
import { Icon } from "./icon.tsx";

export interface FormProps {
  readonly title: string;
  readonly testid: string;
  /** The label of the button that submits. */
  readonly submit: string;
  /** True if the action takes something away from somebody. */
  readonly danger?: boolean;
  readonly onSubmit: () => Promise<void>;
  readonly onClose: () => void;
  readonly children: ReactNode;
}

export function Form({ title, testid, submit, danger = false, onSubmit, onClose, children }: FormProps) {
  const texts = useTexts();
  const [busy, setBusy] = useState(false);
  const [failure, setFailure] = useState<string>();
  const act = () => {
    setBusy(true);
    setFailure(undefined);
    onSubmit().then(onClose, (thrown: unknown) => {
      setBusy(false);
      setFailure(thrown instanceof RequestError ? thrown.failure.message : String(thrown));
    });
  };
  return (
    <Dialog label={title} testid={testid} onClose={onClose}>
      <form
        className="rf-form"
        onSubmit={(event) => {
          event.preventDefault();
          act();
        }}
      >
        <h2 dir="auto">{title}</h2>
        {children}
        {failure !== undefined && (
          <p className="rf-state rf-bad" role="alert">
            <Icon name="alert" /> {texts.actionFailed(failure)}
          </p>
        )}
        <div className="rf-row rf-form-buttons">
          <button type="button" className="rf-button" data-testid={`${testid}-cancel`} onClick={onClose}>
            {texts.cancel}
          </button>
          <button
            type="submit"
            className={`rf-button ${danger ? "rf-danger" : "rf-primary"}`}
            data-testid={`${testid}-submit`}
            disabled={busy}
          >
            {submit}
          </button>
        </div>
      </form>
    </Dialog>
  );
}
