// Links between the views: to a user, to a room. For a key that cannot see the other view, the plain name.

import { useConsole } from "./console.ts";
import { Name } from "./name.tsx";
import { href } from "./place.ts";

/** The calls of which a key needs one to see a user or a room. */
export const USER_CALLS = ["/users/{user}", "/users/{user}/sanctions", "/connections"];
export const ROOM_CALLS = ["/rooms/{room}", "/rooms/{room}/messages", "/rooms/{room}/bans"];

function useSees(calls: readonly string[]): boolean {
  const { access } = useConsole();
  return calls.some((call) => access.can("get", call));
}

export function UserLink({ user }: { user: string }) {
  if (!useSees(USER_CALLS)) return <Name>{user}</Name>;
  return (
    <a href={href("users", user)}>
      <Name>{user}</Name>
    </a>
  );
}

export function RoomLink({ room }: { room: string }) {
  if (!useSees(ROOM_CALLS)) return <Name>{room}</Name>;
  return (
    <a href={href("rooms", room)}>
      <Name>{room}</Name>
    </a>
  );
}
