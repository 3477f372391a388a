// What a moderator sets for a whole room: frozen or not, and slow mode.

import type { ModerationOrder, Restrictions, Room } from "@roomful/client";
import { useId, useState } from "react";

import { useTexts } from "../provider.tsx";

/** The pauses of slow mode on offer, in seconds. */
const PAUSES = [0, 5, 10, 30, 60, 300, 900, 3_600];

export interface RoomControlsProps {
  readonly room: Room;
  readonly restrictions: Restrictions;
  /** Runs an action, and shows why it failed. */
  readonly run: (action: Promise<unknown>) => void;
}

export function RoomControls({ room, restrictions, run }: RoomControlsProps) {
  const texts = useTexts();
  const id = useId();
  /** What the moderator has chosen, until the server has answered. */
  const [wanted, setWanted] = useState<Partial<Restrictions>>({});
  const order = (act: ModerationOrder, fields: Partial<Restrictions>) => {
    setWanted(fields);
    run(room.moderate(act).finally(() => setWanted({})));
  };
  const { frozen, slowMode } = { ...restrictions, ...wanted };
  const pauses = PAUSES.includes(slowMode) ? PAUSES : [...PAUSES, slowMode].sort((a, b) => a - b);
  return (
    <section className="rf-room-controls" data-testid="room-controls" aria-label={texts.moderation}>
      <h2>{texts.moderation}</h2>
      <label className="rf-check">
        <input
          type="checkbox"
          data-testid="freeze"
          checked={frozen}
          onChange={({ target: { checked } }) =>
            order({ action: checked ? "freeze" : "unfreeze" }, { frozen: checked })
          }
        />
        {texts.freeze}
      </label>
      <div className="rf-row">
        <label htmlFor={id}>{texts.slowMode}</label>
        <select
          id={id}
          className="rf-field"
          data-testid="slow-mode"
          value={slowMode}
          onChange={({ target }) => {
            const seconds = Number(target.value);
            order({ action: "slow_mode", seconds }, { slowMode: seconds });
          }}
        >
          {pauses.map((seconds) => (
            <option key={seconds} value={seconds}>
              {seconds === 0 ? texts.off : texts.span(seconds)}
            </option>
          ))}
        </select>
      </div>
    </section>
  );
}
