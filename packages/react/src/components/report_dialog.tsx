// Asks why a message breaks the rules, and reports it to the moderators.

import type { Room } from "@roomful/client";
import { useId, useState } from "react";

import { useTexts } from "../provider.tsx";
import { Form } from "./form.tsx";

/** The reasons on offer, as the server gets them. */
const REASONS = ["spam", "harassment", "hate", "other"] as const;
/** The longest text: the server's default limit. */
const LONGEST_TEXT = 500;

export interface ReportDialogProps {
  readonly room: Room;
  readonly seq: number;
  /** The name of the message's author. */
  readonly name: string;
  readonly onClose: () => void;
}

export function ReportDialog({ room, seq, name, onClose }: ReportDialogProps) {
  const texts = useTexts();
  const id = useId();
  const [reason, setReason] = useState<string>(REASONS[0]);
  const [text, setText] = useState("");
  const report = async () => {
    await room.report(seq, { reason, ...(text.trim() !== "" && { text: text.trim() }) });
  };
  return (
    <Form
      title={texts.reportMessageOf(name)}
      testid="report-form"
      submit={texts.sendReport}
      done={texts.reported}
      onSubmit={report}
      onClose={onClose}
    >
      <p className="rf-hint">{texts.reportHint}</p>
      <label htmlFor={`${id}reason`}>{texts.reportReason}</label>
      <select
        id={`${id}reason`}
        className="rf-field"
        data-testid="report-reason"
        value={reason}
        onChange={(event) => setReason(event.target.value)}
      >
        {REASONS.map((each) => (
          <option key={each} value={each}>
            {texts.reportReasons(each)}
          </option>
        ))}
      </select>
      <label htmlFor={`${id}text`}>{texts.reportText}</label>
      <textarea
        id={`${id}text`}
        className="rf-field"
        data-testid="report-text"
        dir="auto"
        rows={3}
        maxLength={LONGEST_TEXT}
        value={text}
        onChange={(event) => setText(event.target.value)}
      />
    </Form>
  );
}
