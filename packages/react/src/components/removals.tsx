// Says which rooms the user has lost, and why: they are gone from the list of rooms.

import type { ClientEvents } from "@roomful/client";
import { useEffect, useState } from "react";

import { useClient, useLocale, useTexts } from "../provider.tsx";
import { endTime } from "../text/times.ts";
import { Icon } from "./icon.tsx";

/** The most notes at a time. */
const MOST = 3;

interface Removal {
  readonly room: string;
  readonly reason: ClientEvents["roomRemoved"]["reason"];
}

/** Notes about rooms that somebody else has taken from the user, until the user closes them. */
export function Removals({ title }: { title: (room: string) => string }) {
  const client = useClient();
  const texts = useTexts();
  const locale = useLocale();
  const [removals, setRemovals] = useState<readonly Removal[]>([]);
  /** Bans by room, with end and reason. */
  const [bans, setBans] = useState<ReadonlyMap<string, ClientEvents["moderation"]>>(new Map());
  const without = (room: string) => setRemovals((all) => all.filter((removal) => removal.room !== room));
  useEffect(() => {
    const removed = client.on("roomRemoved", ({ room, reason }) => {
      if (reason === "left") return;
      setRemovals((all) => [...all.filter((other) => other.room !== room), { room, reason }].slice(-MOST));
    });
    const acted = client.on("moderation", (act) => {
      if (act.room === undefined || act.userId !== client.userId) return;
      if (act.action === "ban") setBans((all) => new Map(all).set(act.room as string, act));
      if (act.action === "unban") without(act.room);
    });
    const added = client.on("roomAdded", ({ room }) => without(room));
    return () => {
      removed();
      acted();
      added();
    };
  }, [client]);
  return (
    <div className="rf-removals" role="status">
      {removals.map(({ room, reason }) => {
        const { until, reason: why } = (reason === "banned" && bans.get(room)) || {};
        const end = endTime(until, Date.now(), locale);
        return (
          <p key={room} className="rf-removal" data-testid="removal" data-room={room}>
            <span dir="auto">
              {reason === "banned"
                ? texts.bannedFrom(title(room), end, why)
                : reason === "deleted"
                  ? texts.roomDeleted(title(room))
                  : texts.removedFrom(title(room))}
            </span>
            <button
              type="button"
              className="rf-icon-button"
              data-testid="removal-close"
              aria-label={texts.close}
              onClick={() => without(room)}
            >
              <Icon name="close" />
            </button>
          </p>
        );
      })}
    </div>
  );
}
