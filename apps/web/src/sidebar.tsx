// The left side: rooms, a field that adds one, and the user at the foot.

import { RoomList } from "@roomful/react";
import { useState } from "react";

import { Icon } from "../../shared/icon.tsx";
import { addressOf, LONGEST_NAME, roomName } from "./rooms.ts";
import type { Session } from "./session.ts";
import { StatusMenu } from "./status_menu.tsx";
import { ThemeToggle } from "../../shared/theme.tsx";

export interface SidebarProps {
  readonly session: Session;
  readonly room: string;
  readonly onOpen: (room: string) => void;
  readonly onSignOut: () => void;
}

export function Sidebar({ session, room, onOpen, onSignOut }: SidebarProps) {
  return (
    <div className="sidebar" data-pane-name="rooms" id="rooms">
      <header className="sidebar-head">
        <span className="mark small">
          <Icon name="chat" />
        </span>
        <span className="brand">Roomful</span>
      </header>
      <div className="rooms">
        <RoomList current={room} onOpen={onOpen} href={addressOf} />
      </div>
      <AddRoom onOpen={onOpen} />
      <footer className="me">
        <StatusMenu session={session} />
        <ThemeToggle />
        <button
          type="button"
          className="icon-button"
          data-testid="sign-out"
          title="Sign out"
          aria-label="Sign out"
          onClick={onSignOut}
        >
          <Icon name="leave" />
        </button>
      </footer>
    </div>
  );
}

function AddRoom({ onOpen }: { onOpen: (room: string) => void }) {
  const [typed, setTyped] = useState("");
  return (
    <form
      className="add-room"
      onSubmit={(event) => {
        event.preventDefault();
        const name = roomName(typed);
        if (name === "") return;
        setTyped("");
        onOpen(name);
      }}
    >
      <button
        type="submit"
        className="icon-button"
        data-testid="add-room-submit"
        title="Add room"
        aria-label="Add room"
      >
        <Icon name="plus" />
      </button>
      <input
        className="add-field"
        data-testid="add-room"
        type="text"
        maxLength={LONGEST_NAME + 1}
        placeholder="Join or create a room"
        aria-label="Join or create a room"
        autoComplete="off"
        spellCheck={false}
        value={typed}
        onChange={(event) => setTyped(event.target.value)}
      />
    </form>
  );
}
