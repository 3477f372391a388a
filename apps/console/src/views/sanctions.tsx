// Bans and mutes, in one room and in all: the lists.

import { path } from "../api.ts";
import { useConsole } from "../console.ts";
import { Age, Time } from "../facts.tsx";
import { UserLink } from "../links.tsx";
import type { Sanction, SanctionKind } from "../model.ts";
import { Name } from "../name.tsx";
import { href } from "../place.ts";
import { PagedTable, usePages, type Column } from "../table.tsx";
import { Tabs } from "../tabs.tsx";
import { DONE, LiftButton, scope } from "./sanction_buttons.tsx";

/** What each list of bans and mutes shows. */
export function sanctionColumns(onDone: () => void): readonly Column<Sanction>[] {
  return [
    { head: "Since", cell: ({ at }) => <Age at={at} /> },
    { head: "Ends", cell: ({ until }) => <Time at={until} none="never" /> },
    { head: "Reason", kind: "text", cell: ({ reason }) => <bdi>{reason ?? "–"}</bdi> },
    { head: "By", cell: ({ actor }) => <Name>{actor}</Name> },
    {
      head: "Actions",
      kind: "actions",
      cell: ({ userId, kind, room }) => (
        <LiftButton kind={kind} user={userId} room={room ?? undefined} onDone={onDone} />
      ),
    },
  ];
}

/** The bans or mutes of one room, or without a room those that hold in all. */
export function SanctionTable({ kind, room }: { kind: SanctionKind; room?: string }) {
  const { api } = useConsole();
  const list =
    room === undefined
      ? `/v1/${kind}s`
      : kind === "ban"
        ? path`/v1/rooms/${room}/bans`
        : path`/v1/rooms/${room}/mutes`;
  const pages = usePages(list, async (cursor, signal) => {
    const { sanctions, next } = await api.get<{ sanctions: Sanction[]; next?: string }>(list, {
      query: { cursor },
      signal,
    });
    return { rows: sanctions, next };
  });
  const columns: readonly Column<Sanction>[] = [
    { head: "User", cell: ({ userId }) => <UserLink user={userId} /> },
    ...sanctionColumns(pages.refresh),
  ];
  return (
    <PagedTable
      label={kind === "ban" ? `Bans ${scope(room)}` : `Mutes ${scope(room)}`}
      columns={columns}
      pages={pages}
      id={({ userId }) => userId}
      empty={`Nobody is ${DONE[kind]} ${scope(room)}.`}
    />
  );
}

/** The bans and mutes that hold in all rooms. */
export function Sanctions({ tab }: { tab: string | null }) {
  const kind: SanctionKind = tab === "mutes" ? "mute" : "ban";
  return (
    <>
      <h1>Bans and mutes</h1>
      <p className="hint">These hold in all rooms. Those of a single room are on the page of the room.</p>
      <Tabs
        label="Kinds"
        tabs={[
          { name: "ban", label: "Bans", href: href("sanctions", undefined, { tab: "bans" }) },
          { name: "mute", label: "Mutes", href: href("sanctions", undefined, { tab: "mutes" }) },
        ]}
        open={kind}
      />
      <SanctionTable kind={kind} />
    </>
  );
}
