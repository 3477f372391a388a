// Asks a moderator how long a mute or a ban holds, and why, and orders it.

import type { Room } from "@roomful/client";
import { useId, useState } from "react";

import { useClient, useTexts } from "../provider.tsx";
import { Form } from "./form.tsx";

const MINUTE = 60_000;
/** The durations on offer, in milliseconds; 0 stands for no end. */
const DURATIONS = [10 * MINUTE, 60 * MINUTE, 24 * 60 * MINUTE, 7 * 24 * 60 * MINUTE, 0];
/** The longest reason: the server's default limit. */
const LONGEST_REASON = 500;

export interface SanctionDialogProps {
  readonly kind: "mute" | "ban";
  readonly room: Room;
  readonly userId: string;
  readonly name: string;
  readonly onClose: () => void;
}

export function SanctionDialog({ kind, room, userId, name, onClose }: SanctionDialogProps) {
  const texts = useTexts();
  const client = useClient();
  const id = useId();
  const [duration, setDuration] = useState(kind === "mute" ? (DURATIONS[0] ?? 0) : 0);
  const [reason, setReason] = useState("");
  const [clean, setClean] = useState(false);
  const order = async () => {
    await room.moderate({
      action: kind,
      userId,
      ...(duration > 0 && { until: client.serverNow() + duration }),
      ...(reason.trim() !== "" && { reason: reason.trim() }),
    });
    if (clean) await room.moderate({ action: "delete_messages", userId });
  };
  const title = kind === "mute" ? texts.muteUser(name) : texts.banUser(name);
  return (
    <Form title={title} testid="sanction" submit={title} danger onSubmit={order} onClose={onClose}>
      <p className="rf-hint">{kind === "mute" ? texts.muteHint : texts.banHint}</p>
      <label htmlFor={`${id}duration`}>{texts.duration}</label>
      <select
        id={`${id}duration`}
        className="rf-field"
        data-testid="sanction-duration"
        value={duration}
        onChange={(event) => setDuration(Number(event.target.value))}
      >
        {DURATIONS.map((each) => (
          <option key={each} value={each}>
            {each === 0 ? texts.noEnd : texts.span(each / 1_000)}
          </option>
        ))}
      </select>
      <label htmlFor={`${id}reason`}>{texts.reason}</label>
      <input
        id={`${id}reason`}
        className="rf-field"
        data-testid="sanction-reason"
        type="text"
        dir="auto"
        maxLength={LONGEST_REASON}
        autoComplete="off"
        value={reason}
        onChange={(event) => setReason(event.target.value)}
      />
      {kind === "ban" && (
        <label className="rf-check">
          <input
            type="checkbox"
            data-testid="sanction-clean"
            checked={clean}
            onChange={(event) => setClean(event.target.checked)}
          />
          {texts.alsoDeleteMessages}
        </label>
      )}
    </Form>
  );
}
