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
  /** What the dialog says once the action has worked. Without it, the dialog closes. */
  readonly done?: string;
  readonly onSubmit: () => Promise<void>;
  readonly onClose: () => void;
  readonly children: ReactNode;
}

export function Form(props: FormProps) {
  const { title, testid, submit, danger = false, done, onSubmit, onClose, children } = props;
  const texts = useTexts();
  const [busy, setBusy] = useState(false);
  const [worked, setWorked] = useState(false);
  const [failure, setFailure] = useState<string>();
  const act = () => {
    setBusy(true);
    setFailure(undefined);
    onSubmit().then(done === undefined ? onClose : () => setWorked(true), (thrown: unknown) => {
      setBusy(false);
      setFailure(thrown instanceof RequestError ? thrown.failure.message : String(thrown));
    });
  };
  if (worked)
    return (
      <Dialog label={title} testid={`${testid}-done`} onClose={onClose}>
        <div className="rf-form">
          <h2 dir="auto">{title}</h2>
          <p className="rf-hint">{done}</p>
          <div className="rf-row rf-form-buttons">
            <button type="button" className="rf-button rf-primary" data-testid="done" onClick={onClose}>
              {texts.close}
            </button>
          </div>
        </div>
      </Dialog>
    );
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
