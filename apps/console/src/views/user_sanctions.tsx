// The bans and mutes of one user.

import { path } from "../api.ts";
import { useConsole } from "../console.ts";
import { Failure } from "../failure.tsx";
import { RoomLink } from "../links.tsx";
import type { Sanction } from "../model.ts";
import { usePoll, type Polled } from "../poll.ts";
import { Table } from "../table.tsx";
import { DONE, holdsInAll } from "./sanction_buttons.tsx";
import { sanctionColumns } from "./sanctions.tsx";

export type UserSanctions = Polled<readonly Sanction[]>;

/** Polls the bans and mutes of a user. A key that may not see them gets none. */
export function useSanctions(user: string): UserSanctions {
  const { api, access } = useConsole();
  const allowed = access.can("get", "/users/{user}/sanctions");
  return usePoll(`sanctions ${user}`, async (signal) => {
    if (!allowed) return [];
    const call = path`/v1/users/${user}/sanctions`;
    return (await api.get<{ sanctions: Sanction[] }>(call, { signal })).sanctions;
  });
}

/** Says beside a user's name that they are banned or muted in all rooms. */
export function SanctionTags({ sanctions }: { sanctions: readonly Sanction[] }) {
  return (["ban", "mute"] as const)
    .filter((kind) => holdsInAll(kind, sanctions))
    .map((kind) => (
      <span key={kind} className="tag" data-testid="user-sanction" data-kind={kind}>
        {DONE[kind]}
      </span>
    ));
}

/** The bans and mutes of a user, in all rooms and in single ones. */
export function SanctionsOfUser({
  user,
  sanctions: { data, error, refresh },
}: {
  user: string;
  sanctions: UserSanctions;
}) {
  return (
    <>
      <Failure error={error} retry={refresh} />
      {!data && !error && <p className="empty">Loading …</p>}
      {data && (
        <Table
          label={`Bans and mutes of ${user}`}
          columns={[
            { head: "Kind", cell: ({ kind }) => kind },
            { head: "Room", cell: ({ room }) => (room == null ? "all rooms" : <RoomLink room={room} />) },
            ...sanctionColumns(refresh),
          ]}
          rows={data}
          id={({ kind, room }) => (room == null ? kind : `${kind} ${room}`)}
          empty="The user is neither banned nor muted."
        />
      )}
    </>
  );
}
