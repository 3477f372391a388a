// Asks before an action: a dialog that explains the action, and the line that reports its result.

import {
  createContext,
  useCallback,
  useContext,
  useEffect,
  useRef,
  useState,
  type FormEvent,
  type ReactNode,
} from "react";

import { Icon } from "../../shared/icon.tsx";
import { EndFields, endOf, type End } from "./end.tsx";

/** When a ban or mute ends, and why it is there. */
export interface Terms {
  readonly until?: number;
  readonly reason?: string;
}

export interface Question {
  readonly title: string;
  /** What the action does. */
  readonly text: string;
  /** The text of the button. */
  readonly action: string;
  /** What else the dialog asks for. */
  readonly terms?: "end" | "end and reason";
  /** Does it, and gives the text that says what it did. */
  readonly run: (terms: Terms) => Promise<string>;
}

const AskContext = createContext<(question: Question) => void>(() => undefined);

/** Gives the function that asks a question. */
export const useAsk = () => useContext(AskContext);

export function AskArea({ children }: { children: ReactNode }) {
  const [asked, setAsked] = useState<{ question: Question; count: number }>();
  const [outcome, setOutcome] = useState("");
  const ask = useCallback((question: Question) => {
    setOutcome("");
    setAsked((was) => ({ question, count: (was?.count ?? 0) + 1 }));
  }, []);
  const close = useCallback(() => setAsked(undefined), []);
  return (
    <AskContext value={ask}>
      {children}
      {asked && <Dialog key={asked.count} question={asked.question} onClose={close} onDone={setOutcome} />}
      <div className="outcome" role="status" data-testid="outcome">
        {outcome !== "" && (
          <>
            <Icon name="check" />
            <p>{outcome}</p>
            <button
              type="button"
              className="icon-button"
              aria-label="Dismiss"
              onClick={() => setOutcome("")}
            >
              <Icon name="close" />
            </button>
          </>
        )}
      </div>
    </AskContext>
  );
}

interface DialogProps {
  readonly question: Question;
  readonly onClose: () => void;
  readonly onDone: (outcome: string) => void;
}

function Dialog({ question: { title, text, action, terms, run }, onClose, onDone }: DialogProps) {
  const dialog = useRef<HTMLDialogElement>(null);
  const [end, setEnd] = useState<End>({ kind: "none", date: "" });
  const [reason, setReason] = useState("");
  const [fault, setFault] = useState("");
  const [busy, setBusy] = useState(false);
  useEffect(() => dialog.current?.showModal(), []);
  const submit = async (event: FormEvent) => {
    event.preventDefault();
    const until = endOf(end, Date.now());
    if (until instanceof Error) return setFault(until.message);
    setBusy(true);
    setFault("");
    try {
      const given = reason.trim();
      onDone(await run({ ...(until && { until }), ...(given && { reason: given }) }));
      dialog.current?.close();
    } catch (thrown) {
      setFault(thrown instanceof Error ? thrown.message : String(thrown));
      setBusy(false);
    }
  };
  return (
    <dialog ref={dialog} className="ask" aria-labelledby="ask-title" data-testid="ask" onClose={onClose}>
      <form onSubmit={(event) => void submit(event)}>
        <h2 id="ask-title">{title}</h2>
        <p>{text}</p>
        {terms && (
          <>
            <EndFields end={end} onChange={setEnd} />
            {terms === "end and reason" && (
              <label className="labelled">
                Reason
                <input
                  className="field"
                  data-testid="ask-reason"
                  autoComplete="off"
                  maxLength={500}
                  value={reason}
                  onChange={(event) => setReason(event.target.value)}
                />
              </label>
            )}
          </>
        )}
        <p className="form-fault" role="alert">
          {fault}
        </p>
        <div className="ask-buttons">
          <button
            type="button"
            className="button"
            data-testid="ask-no"
            onClick={() => dialog.current?.close()}
          >
            Cancel
          </button>
          <button type="submit" className="button danger" data-testid="ask-yes" disabled={busy}>
            {action}
          </button>
        </div>
      </form>
    </dialog>
  );
}
