// Links between the views: to a user, to a room.

import { href } from "./place.ts";

export function UserLink({ user }: { user: string }) {
  return (
    <a href={href("users", user)} className="name">
      <bdi>{user}</bdi>
    </a>
  );
}

export function RoomLink({ room }: { room: string }) {
  return (
    <a href={href("rooms", room)} className="name">
      <bdi>{room}</bdi>
    </a>
  );
}
