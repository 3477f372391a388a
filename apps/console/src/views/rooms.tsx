// The list of rooms, and the form that opens one by its name.

import { useConsole } from "../console.ts";
import { Age } from "../facts.tsx";
import { number } from "../format.ts";
import { RoomLink } from "../links.tsx";
import { Locked } from "../locked.tsx";
import type { Room } from "../model.ts";
import { go, href } from "../place.ts";
import { SearchForm } from "../search_form.tsx";
import { PagedTable, usePages, type Column } from "../table.tsx";

const COLUMNS: readonly Column<Room>[] = [
  { head: "Room", cell: ({ room }) => <RoomLink room={room} /> },
  { head: "Kind", cell: ({ kind }) => kind },
  { head: "Entries", kind: "number", cell: ({ head }) => number(head) },
  { head: "Created", cell: ({ createdAt }) => <Age at={createdAt} /> },
];

export function Rooms() {
  const { access } = useConsole();
  return (
    <>
      <h1>Rooms</h1>
      <SearchForm
        fields={[{ name: "room", label: "Name of a room", required: true }]}
        action="Open"
        onSubmit={({ room }) => go(href("rooms", room))}
      />
      <Locked what="The list of rooms" route="/rooms" />
      {access.can("get", "/rooms") && <RoomTable />}
    </>
  );
}

function RoomTable() {
  const { api } = useConsole();
  const pages = usePages("rooms", async (cursor, signal) => {
    const { rooms, next } = await api.get<{ rooms: Room[]; next?: string }>("/v1/rooms", {
      query: { cursor },
      signal,
    });
    return { rows: rooms, next };
  });
  return (
    <PagedTable
      label="Rooms"
      columns={COLUMNS}
      pages={pages}
      id={({ room }) => room}
      empty="There are no rooms yet."
    />
  );
}
