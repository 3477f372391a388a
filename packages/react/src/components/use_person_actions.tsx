// What the user may do about another user: the entries of a menu, and the dialogs that these open.

import type { Role, Room } from "@roomful/client";
import { useState, type ReactNode } from "react";

import { useTexts } from "../provider.tsx";
import { Form } from "./form.tsx";
import type { MenuItem } from "./menu.tsx";
import { SanctionDialog } from "./sanction_dialog.tsx";

const RANKS: Readonly<Record<Role, number>> = { member: 0, moderator: 1, owner: 2 };

/** True for those whom slow mode and freezing do not bind, and who may delete others' messages. */
export const moderates = (role: Role | undefined): boolean => role === "moderator" || role === "owner";

export interface PersonActionsOptions {
  readonly room: Room;
  /** The user whom the actions concern. */
  readonly userId: string;
  readonly name: string;
  readonly me: string | undefined;
  /** The role of the user who acts. */
  readonly role: Role | undefined;
  /** The role of the user whom the actions concern, if it is known. */
  readonly theirRole: Role | undefined;
  /** Runs an action, and shows why it failed. */
  readonly run: (action: Promise<unknown>) => void;
}

export interface PersonActions {
  readonly items: readonly MenuItem[];
  /** The open dialog. It has to stay in the page while it is open. */
  readonly dialog: ReactNode;
}

export function usePersonActions(options: PersonActionsOptions): PersonActions {
  const { room, userId, name, me, role, theirRole, run } = options;
  const texts = useTexts();
  const [asked, setAsked] = useState<"mute" | "ban" | "delete">();
  const mayAct = userId !== me && moderates(role) && RANKS[theirRole ?? "member"] < RANKS[role ?? "member"];
  const close = () => setAsked(undefined);
  const lift = (action: "unmute" | "unban") => () => run(room.moderate({ action, userId }));
  const items: MenuItem[] = mayAct
    ? [
        { id: "mute", label: texts.mute, onSelect: () => setAsked("mute") },
        { id: "unmute", label: texts.unmute, onSelect: lift("unmute") },
        { id: "ban", label: texts.ban, onSelect: () => setAsked("ban") },
        // A member is not banned.
        ...(theirRole === undefined ? [{ id: "unban", label: texts.unban, onSelect: lift("unban") }] : []),
        { id: "delete-all", label: texts.deleteAll, onSelect: () => setAsked("delete") },
      ]
    : [];
  const dialog =
    asked === "delete" ? (
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
    ) : asked !== undefined ? (
      <SanctionDialog kind={asked} room={room} userId={userId} name={name} onClose={close} />
    ) : null;
  return { items, dialog };
}
