// The page of a signed-in user: rooms, the open room, its members. The address names the open room.

import { Chat, Members, NotificationBell, RoomfulProvider, useInbox, useRoom } from "@roomful/react";
import { useCallback, useEffect, useRef, useState } from "react";

import { clientFor } from "./client.ts";
import { Icon } from "../../shared/icon.tsx";
import { addressOf, addressed, FIRST_ROOM } from "./rooms.ts";
import type { Session } from "./session.ts";
import { Sidebar } from "./sidebar.tsx";
import { lasting } from "../../shared/storage.ts";

/** With a touch screen, the focus would open the keyboard over the messages. */
const KEYBOARD = matchMedia("(pointer: fine)").matches;

export interface ShellProps {
  readonly session: Session;
  /** Ends the session; the reason is for the user. */
  readonly onLeave: (why?: string) => void;
}

export function Shell({ session, onLeave }: ShellProps) {
  const [client] = useState(() => clientFor(session, onLeave));
  const signOut = useCallback(() => {
    void client.signOut().finally(() => {
      history.replaceState(null, "", location.pathname);
      onLeave();
    });
  }, [client, onLeave]);
  useEffect(() => client.on("signedOut", () => onLeave()), [client, onLeave]);
  return (
    <RoomfulProvider client={client}>
      <Columns session={session} onSignOut={signOut} />
    </RoomfulProvider>
  );
}

type Pane = "none" | "rooms" | "people";

function Columns({ session, onSignOut }: { session: Session; onSignOut: () => void }) {
  const [room, go] = useOpenRoom(session.userId);
  const [{ rooms }] = useInbox();
  const [pane, setPane] = useState<Pane>("none");
  const opener = useRef<Element>(null);
  const frame = useRef<HTMLDivElement>(null);
  const show = (next: Pane) => {
    opener.current = document.activeElement;
    setPane(next);
  };
  const close = useCallback(() => {
    setPane("none");
    if (opener.current instanceof HTMLElement) opener.current.focus();
  }, []);
  // A drawer takes the focus when it opens, and gives it back.
  useEffect(() => {
    if (pane === "none") return;
    frame.current?.querySelector<HTMLElement>(`[data-pane-name="${pane}"] :is(a, button)`)?.focus();
  }, [pane]);
  const open = useCallback(
    (next: string) => {
      setPane("none");
      go(next);
    },
    [go],
  );
  const unread = rooms.reduce((sum, row) => sum + (row.room === room ? 0 : row.unread), 0);
  useEffect(() => {
    const count = unread > 99 ? "99+" : String(unread);
    document.title = `${unread > 0 ? `(${count}) ` : ""}${room} · Roomful`;
    return () => {
      document.title = "Roomful";
    };
  }, [unread, room]);
  useEffect(() => {
    const key = (event: KeyboardEvent) => {
      if (event.key === "Escape") return close();
      const step = { ArrowDown: 1, ArrowUp: -1 }[event.key];
      if (!event.altKey || step === undefined || rooms.length === 0) return;
      event.preventDefault();
      const at = rooms.findIndex((row) => row.room === room);
      const next = rooms[(at + step + rooms.length) % rooms.length];
      if (next) open(next.room);
    };
    document.addEventListener("keydown", key);
    return () => document.removeEventListener("keydown", key);
  }, [rooms, room, open, close]);
  const left = () => open(rooms.find((row) => row.room !== room)?.room ?? FIRST_ROOM);
  return (
    <div ref={frame} className="shell" data-pane={pane}>
      <Sidebar session={session} room={room} onOpen={open} onSignOut={onSignOut} />
      <main className="main">
        <Head room={room} unread={unread} onPane={show} onLeft={left} />
        <Chat key={room} room={room} autoFocus={KEYBOARD} />
      </main>
      <People key={`people of ${room}`} room={room} onClose={close} />
      {pane !== "none" && <div className="veil" onClick={close} />}
    </div>
  );
}

/** The open room: the one in the address, else the last one, else the lobby. */
function useOpenRoom(userId: string): readonly [string, (room: string) => void] {
  const key = `room.${userId}`;
  const [room, setRoom] = useState(() => {
    const last = lasting.read(key);
    return addressed(location.hash) || (typeof last === "string" ? last : FIRST_ROOM);
  });
  useEffect(() => {
    lasting.write(key, room);
    if (addressed(location.hash) === room) return;
    if (addressed(location.hash) === "") history.replaceState(null, "", addressOf(room));
    else location.hash = addressOf(room);
  }, [key, room]);
  useEffect(() => {
    const follow = () => {
      const named = addressed(location.hash);
      if (named !== "") setRoom(named);
    };
    window.addEventListener("hashchange", follow);
    return () => window.removeEventListener("hashchange", follow);
  }, []);
  return [room, setRoom];
}

interface HeadProps {
  readonly room: string;
  /** Unread messages of other rooms. */
  readonly unread: number;
  readonly onPane: (pane: Pane) => void;
  readonly onLeft: () => void;
}

function Head({ room: name, unread, onPane, onLeft }: HeadProps) {
  const [{ members, error }, room] = useRoom(name);
  const online = members.filter(({ status }) => status !== "offline").length;
  return (
    <header className="room-head">
      <button
        type="button"
        className="icon-button only-narrow"
        data-testid="open-rooms"
        aria-label={unread > 0 ? `Rooms, ${unread} unread` : "Rooms"}
        onClick={() => onPane("rooms")}
      >
        <Icon name="menu" />
        {unread > 0 && <span className="menu-dot" />}
      </button>
      <h1 className="room-title" data-testid="room-title">
        <bdi>{name}</bdi>
      </h1>
      <span className="spread" />
      <NotificationBell />
      <button
        type="button"
        className="count-button"
        data-testid="open-people"
        aria-label={`${online} online`}
        onClick={() => onPane("people")}
      >
        <Icon name="people" />
        {online}
      </button>
      <button
        type="button"
        className="leave-button"
        data-testid="leave-room"
        title="Leave this room"
        onClick={() => {
          // A user whom the server refuses is no member that could leave.
          if (error) onLeft();
          else room.leave().then(onLeft, () => undefined);
        }}
      >
        Leave
      </button>
    </header>
  );
}

function People({ room, onClose }: { room: string; onClose: () => void }) {
  return (
    <aside className="people-pane" data-pane-name="people" aria-label="People" id="people">
      <button
        type="button"
        className="icon-button people-close"
        aria-label="Close the list of people"
        onClick={onClose}
      >
        <Icon name="close" />
      </button>
      <Members room={room} />
    </aside>
  );
}
