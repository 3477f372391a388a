// The user at the foot of the room list: face, name and status. A press opens the status menu.

import { Avatar, useClient, useConnection, usePopup, useStore } from "@roomful/react";
import type { Status } from "@roomful/client";
import { useEffect, useState } from "react";

import { Icon } from "../../shared/icon.tsx";
import type { Session } from "./session.ts";
import { LONGEST_STATUS_TEXT, STATUSES, statusLine, statusText } from "./statuses.ts";

const LINES = { idle: "Offline", connecting: "Connecting …", offline: "Offline", failed: "Disconnected" };

export function StatusMenu({ session }: { session: Session }) {
  const client = useClient();
  const [{ state }] = useConnection();
  const own = useStore(client.status);
  const { open, toggle, close, area, button } = usePopup<HTMLDivElement>();
  const online = state === "online";
  const line = state === "online" ? statusLine(own) : LINES[state];
  useEffect(() => {
    if (!online) close();
  }, [online, close]);
  const choose = (status: Status, text: string) => {
    close();
    client.setStatus(status, text).catch(() => undefined);
  };
  return (
    <div ref={area} className="me-status">
      {open && <Statuses status={own.status} text={own.text ?? ""} onChoose={choose} />}
      <button
        ref={button}
        type="button"
        className="me-button"
        data-testid="status-button"
        aria-expanded={open}
        disabled={!online}
        onClick={toggle}
      >
        <Avatar userId={session.userId} name={session.name} status={online ? own.status : "offline"} />
        <span className="me-text">
          <bdi className="me-name" data-testid="me">
            {session.name}
          </bdi>
          <span className="me-line" data-testid="connection-state" data-state={state} title={line}>
            {line}
          </span>
        </span>
        <span className="rf-hidden">Set your status</span>
      </button>
    </div>
  );
}

interface StatusesProps {
  readonly status: Status;
  readonly text: string;
  readonly onChoose: (status: Status, text: string) => void;
}

function Statuses({ status: present, text, onChoose }: StatusesProps) {
  const [typed, setTyped] = useState(text);
  return (
    <section className="statuses" data-testid="statuses" aria-label="Your status">
      <header className="status-head">
        <h2>Your status</h2>
        {text !== "" && (
          <button
            type="button"
            className="link-button"
            data-testid="status-clear"
            onClick={() => onChoose(present, "")}
          >
            Clear
          </button>
        )}
      </header>
      <form
        className="status-form"
        onSubmit={(event) => {
          event.preventDefault();
          onChoose(present, statusText(typed));
        }}
      >
        <input
          className="field status-field"
          data-testid="status-text"
          type="text"
          maxLength={LONGEST_STATUS_TEXT}
          placeholder="What are you up to?"
          aria-label="Status text"
          autoComplete="off"
          value={typed}
          onChange={(event) => setTyped(event.target.value)}
        />
        <button type="submit" className="button primary" data-testid="status-save">
          Save
        </button>
      </form>
      {STATUSES.map(({ status, label, hint }) => (
        <button
          key={status}
          type="button"
          className="status-option"
          data-testid="status-option"
          data-status={status}
          aria-pressed={status === present}
          onClick={() => onChoose(status, statusText(typed))}
        >
          <span className="rf-dot" data-status={status} />
          <span className="status-words">
            <span>{label}</span>
            {hint !== "" && <span className="status-hint">{hint}</span>}
          </span>
          <Icon name="check" />
        </button>
      ))}
    </section>
  );
}
