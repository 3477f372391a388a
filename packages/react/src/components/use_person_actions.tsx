// What the user may do about another user: the entries of a menu, and the dialogs that these open.

import type { KnownSanctions, Role, Room } from "@roomful/client";
import { useState, type ReactNode } from "react";

import { useBlocks } from "../hooks.ts";
import { useClient, useTexts } from "../provider.tsx";
import { Form } from "./form.tsx";
import type { MenuItem } from "./menu.tsx";
import { ReportDialog } from "./report_dialog.tsx";
import { SanctionDialog } from "./sanction_dialog.tsx";

const RANKS: Readonly<Record<Role, number>> = { member: 0, moderator: 1, owner: 2 };

/** True for those whom slow mode and freezing do not bind, and who may delete others' messages. */
export const moderates = (role: Role | undefined): boolean => role === "moderator" || role === "owner";

export interface PersonActionsOptions {
  readonly room: Room;
  /** The user whom the actions concern. */
  readonly userId: string;
  readonly name: string;
  /** The message that the actions concern, if there is one. */
  readonly seq?: number;
  readonly me: string | undefined;
  /** The role of the user who acts. */
  readonly role: Role | undefined;
  /** The role of the user whom the actions concern, if it is known. */
  readonly theirRole: Role | undefined;
  /** Whether that user is muted or banned, if it is known. */
  readonly sanctions: KnownSanctions | undefined;
  /** Runs an action, and shows why it failed. */
  readonly run: (action: Promise<unknown>) => void;
}

export interface PersonActions {
  readonly items: readonly MenuItem[];
  /** The open dialog. It has to stay in the page while it is open. */
  readonly dialog: ReactNode;
}

export function usePersonActions(options: PersonActionsOptions): PersonActions {
  const { room, userId, name, seq, me, role, theirRole, sanctions, run } = options;
  const texts = useTexts();
  const client = useClient();
  const blocked = useBlocks().has(userId);
  const [asked, setAsked] = useState<"mute" | "ban" | "delete" | "report" | "block">();
  const mayAct = userId !== me && moderates(role) && RANKS[theirRole ?? "member"] < RANKS[role ?? "member"];
  const close = () => setAsked(undefined);
  const blocking: MenuItem = blocked
    ? { id: "unblock", label: texts.unblock, onSelect: () => run(client.unblock(userId)) }
    : { id: "block", label: texts.block, onSelect: () => setAsked("block") };
  // A member is not banned.
  const { muted, banned = theirRole === undefined ? undefined : false } = sanctions ?? {};
  const impose = (id: "mute" | "ban") => ({ id, label: texts[id], onSelect: () => setAsked(id) });
  const lift = (action: "unmute" | "unban") => ({
    id: action,
    label: texts[action],
    onSelect: () => run(room.moderate({ action, userId })),
  });
  const moderating: MenuItem[] = [
    ...either(muted, impose("mute"), lift("unmute")),
    ...either(banned, impose("ban"), lift("unban")),
    { id: "delete-all", label: texts.deleteAll, onSelect: () => setAsked("delete") },
  ];
  const own: MenuItem[] = [
    ...(seq === undefined
      ? []
      : [{ id: "report", label: texts.report, onSelect: () => setAsked("report") }]),
    blocking,
  ];
  const other = me !== undefined && userId !== me;
  const items = !other ? [] : mayAct ? [...moderating, ...own] : own;
  const dialog =
    asked === "block" ? (
      <Form
        title={texts.blockUser(name)}
        testid="block-sure"
        submit={texts.blockUser(name)}
        danger
        onSubmit={() => client.block(userId)}
        onClose={close}
      >
        <p className="rf-hint">{texts.blockHint}</p>
      </Form>
    ) : asked === "report" && seq !== undefined ? (
      <ReportDialog room={room} seq={seq} name={name} onClose={close} />
    ) : asked === "delete" ? (
      <Form
        title={texts.deleteAllOf(name)}
        testid="delete-all-sure"
        submit={texts.remove}
        danger
        onSubmit={async () => {
          await room.moderate({ action: "delete_messages", userId });
        }}
        onClose={close}
      >
        <p className="rf-hint">{texts.deleteAllHint}</p>
      </Form>
    ) : asked === "mute" || asked === "ban" ? (
      <SanctionDialog kind={asked} room={room} userId={userId} name={name} onClose={close} />
    ) : null;
  return { items, dialog };
}

/** The entry that ends what holds, or the one that begins it. Both if it is unknown whether it holds. */
function either(holds: boolean | undefined, begin: MenuItem, end: MenuItem): readonly MenuItem[] {
  if (holds === undefined) return [begin, end];
  return [holds ? end : begin];
}
