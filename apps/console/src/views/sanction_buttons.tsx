// The buttons that impose and lift a ban or a mute, in one room or in all.

import { path, type Api } from "../api.ts";
import { useAsk, type Answers } from "../ask.tsx";
import { useConsole } from "../console.ts";
import { dateTime } from "../format.ts";
import type { Sanction, SanctionKind } from "../model.ts";

export const DONE = { ban: "banned", mute: "muted" } as const;
const VERBS = { ban: "Ban", mute: "Mute" } as const;
const OPPOSITES = { ban: "Unban", mute: "Unmute" } as const;

/** Where a sanction holds: without a room, in all. */
interface Target {
  readonly kind: SanctionKind;
  readonly user: string;
  readonly room?: string | undefined;
}

export const scope = (room: string | undefined) => (room === undefined ? "in all rooms" : `in ${room}`);

function address({ kind, user, room }: Target): string {
  if (room === undefined)
    return kind === "ban" ? path`/v1/users/${user}/ban` : path`/v1/users/${user}/mute`;
  return kind === "ban" ? path`/v1/rooms/${room}/bans/${user}` : path`/v1/rooms/${room}/mutes/${user}`;
}

const ROUTES = {
  ban: { user: "/users/{user}/ban", room: "/rooms/{room}/bans/{user}" },
  mute: { user: "/users/{user}/mute", room: "/rooms/{room}/mutes/{user}" },
} as const;

function routeOf(kind: SanctionKind, room: string | undefined): string {
  return ROUTES[kind][room === undefined ? "user" : "room"];
}

const EFFECTS = {
  ban: {
    user: "Their memberships end and their connections close. They cannot connect during the ban.",
    room: "Their membership of this room ends, and they cannot join it again while the ban lasts.",
  },
  mute: {
    user: "They cannot send, edit or react in any room while the mute lasts. They can still read.",
    room: "They cannot send, edit or react in this room while the mute lasts. They can still read.",
  },
} as const;

async function impose(api: Api, target: Target, answers: Answers): Promise<string> {
  await api.send("PUT", address(target), answers);
  const end = answers.until === undefined ? "" : ` until ${dateTime(answers.until)}`;
  return `${target.user} is ${DONE[target.kind]} ${scope(target.room)}${end}.`;
}

export function SanctionButton({ onDone, ...target }: Target & { onDone: () => void }) {
  const { api, access } = useConsole();
  const ask = useAsk();
  const { kind, user, room } = target;
  if (!access.can("put", routeOf(kind, room))) return null;
  return (
    <button
      type="button"
      className="button danger"
      data-testid={kind}
      aria-label={`${VERBS[kind]} ${user}`}
      onClick={() =>
        ask({
          title: `${VERBS[kind]} ${user} ${scope(room)}?`,
          text: EFFECTS[kind][room === undefined ? "user" : "room"],
          action: VERBS[kind],
          fields: "end and reason",
          run: async (answers) => {
            const outcome = await impose(api, target, answers);
            onDone();
            return outcome;
          },
        })
      }
    >
      {VERBS[kind]}
    </button>
  );
}

/** Bans or mutes the user in all rooms, or ends that where it holds. */
export function SanctionSwitch({
  kind,
  user,
  sanctions,
  onDone,
}: {
  kind: SanctionKind;
  user: string;
  sanctions: readonly Sanction[];
  onDone: () => void;
}) {
  if (!holdsInAll(kind, sanctions)) return <SanctionButton kind={kind} user={user} onDone={onDone} />;
  return <LiftButton kind={kind} user={user} label={OPPOSITES[kind]} onDone={onDone} />;
}

export const holdsInAll = (kind: SanctionKind, sanctions: readonly Sanction[]) =>
  sanctions.some((sanction) => sanction.kind === kind && sanction.room == null);

export function LiftButton({
  onDone,
  label,
  ...target
}: Target & { onDone: () => void; label?: (typeof OPPOSITES)[SanctionKind] }) {
  const { api, access } = useConsole();
  const ask = useAsk();
  const { kind, user, room } = target;
  if (!access.can("delete", routeOf(kind, room))) return null;
  return (
    <button
      type="button"
      className="button"
      data-testid={label?.toLowerCase() ?? "lift"}
      aria-label={label ? `${label} ${user}` : `Lift the ${kind} of ${user}`}
      onClick={() =>
        ask({
          title: `Lift the ${kind} of ${user} ${scope(room)}?`,
          text:
            kind === "ban"
              ? "They can connect and join again at once. Memberships that the ban ended do not come back."
              : "They can send, edit and react again at once.",
          action: label ?? "Lift",
          run: async () => {
            await api.send("DELETE", address(target));
            onDone();
            return `${user} is no longer ${DONE[kind]} ${scope(room)}.`;
          },
        })
      }
    >
      {label ?? "Lift"}
    </button>
  );
}
