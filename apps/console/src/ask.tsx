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
import { usePlace } from "./place.ts";
import { Prose } from "./prose.tsx";

/** The operator's answers in the dialog: end and reason of a ban or mute, and the value of the choice. */
export interface Answers {
  readonly until?: number;
  readonly reason?: string;
  readonly choice?: string;
}

/** One of several ways to do something; the first is the default. */
export interface Choice {
  readonly label: string;
  readonly options: readonly (readonly [value: string, text: string])[];
}

export interface Question {
  readonly title: string;
  /** What the action does. */
  readonly text: string;
  /** The text of the button. */
  readonly action: string;
  /** Fields of the dialog, besides the choice. */
  readonly fields?: "end" | "end and reason";
  readonly choice?: Choice;
  /** What the operator must type before an action that nothing undoes. */
  readonly typed?: string;
  /** An action that changes nothing. */
  readonly harmless?: boolean;
  /** Does it, and gives the text that says what it did. */
  readonly run: (answers: Answers) => Promise<string>;
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
  const { view, name } = usePlace();
  // The line is about what the page showed.
  useEffect(() => setOutcome(""), [view, name]);
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

function Dialog({ question, onClose, onDone }: DialogProps) {
  const { title, text, action, fields, choice, typed, harmless = false, run } = question;
  const dialog = useRef<HTMLDialogElement>(null);
  const [end, setEnd] = useState<End>({ kind: "none", date: "" });
  const [reason, setReason] = useState("");
  const [chosen, setChosen] = useState(choice?.options[0]?.[0]);
  const [typing, setTyping] = useState("");
  const [fault, setFault] = useState("");
  const [busy, setBusy] = useState(false);
  useEffect(() => dialog.current?.showModal(), []);
  const submit = async (event: FormEvent) => {
    event.preventDefault();
    const until = endOf(end, Date.now());
    if (until instanceof Error) return setFault(until.message);
    if (typed !== undefined && typing !== typed) return setFault(`Type ${typed} to confirm.`);
    setBusy(true);
    setFault("");
    try {
      const given = reason.trim();
      onDone(
        await run({
          ...(until && { until }),
          ...(given && { reason: given }),
          ...(chosen !== undefined && { choice: chosen }),
        }),
      );
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
        {fields && (
          <>
            <EndFields end={end} onChange={setEnd} />
            {fields === "end and reason" && (
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
        {choice && (
          <label className="labelled">
            {choice.label}
            <select
              className="field"
              data-testid="ask-choice"
              value={chosen}
              onChange={({ target }) => setChosen(target.value)}
            >
              {choice.options.map(([value, label]) => (
                <option key={value} value={value}>
                  {label}
                </option>
              ))}
            </select>
          </label>
        )}
        {typed !== undefined && (
          <label className="labelled">
            <span>
              Type <bdi>{typed}</bdi> to confirm
            </span>
            <input
              className="field"
              data-testid="ask-typed"
              autoComplete="off"
              autoCapitalize="off"
              spellCheck={false}
              value={typing}
              onChange={(event) => setTyping(event.target.value)}
            />
          </label>
        )}
        <p className="form-fault" role="alert">
          <Prose text={fault} />
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
          <button
            type="submit"
            className={harmless ? "button primary" : "button danger"}
            data-testid="ask-yes"
            disabled={busy}
          >
            {action}
          </button>
        </div>
      </form>
    </dialog>
  );
}
