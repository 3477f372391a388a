// What an operator can do to a user: disconnect, revoke, mute, ban, export, erase.

import { path, type Api } from "../api.ts";
import { useAsk, type Question } from "../ask.tsx";
import { useConsole } from "../console.ts";
import { dateTime } from "../format.ts";
import { SanctionSwitch } from "./sanction_buttons.tsx";
import type { UserSanctions } from "./user_sanctions.tsx";

interface Action {
  readonly name: string;
  readonly label: string;
  /** The call that it makes. */
  readonly method: "get" | "post" | "delete";
  readonly route: string;
  readonly harmless?: boolean;
  readonly question: (api: Api, user: string) => Question;
}

const ACTIONS: readonly Action[] = [
  {
    name: "disconnect",
    label: "Disconnect",
    method: "post",
    route: "/users/{user}/disconnect",
    question: (api, user) => ({
      title: `Disconnect ${user}?`,
      text: "All their connections close. They can connect again at once with a valid token.",
      action: "Disconnect",
      run: async () => {
        const { closed } = await api.send<{ closed: number }>("POST", path`/v1/users/${user}/disconnect`);
        return `${user} is disconnected. Connections closed: ${closed}.`;
      },
    }),
  },
  {
    name: "revoke",
    label: "Revoke tokens",
    method: "post",
    route: "/users/{user}/revoke",
    question: (api, user) => ({
      title: `Revoke the tokens of ${user}?`,
      text: "Their connections close. Every token issued so far stops working, so they need a new one.",
      action: "Revoke",
      run: async () => {
        const answer = await api.send<{ closed: number; revokedBefore: number }>(
          "POST",
          path`/v1/users/${user}/revoke`,
        );
        const before = dateTime(answer.revokedBefore);
        return `Revoked the tokens of ${user} from before ${before}. Connections closed: ${answer.closed}.`;
      },
    }),
  },
  {
    name: "export",
    label: "Export",
    method: "get",
    route: "/users/{user}/export",
    harmless: true,
    question: (api, user) => ({
      title: `Export the data of ${user}?`,
      text: "The download has everything stored about the user as JSON lines. It is personal data.",
      action: "Download",
      harmless: true,
      run: async () => {
        await api.download(path`/v1/users/${user}/export`, `${user}.ndjson`);
        return `The data of ${user} is downloaded.`;
      },
    }),
  },
  {
    name: "erase",
    label: "Erase",
    method: "delete",
    route: "/users/{user}",
    question: (api, user) => ({
      title: `Erase ${user}?`,
      text:
        "Their connections close, their tokens stop working, and the server deletes everything it stores " +
        "about them. You cannot undo this.",
      action: "Erase",
      choice: {
        label: "Their messages",
        options: [
          ["delete", "are deleted"],
          ["anonymise", "stay, under an id that tells nothing"],
        ],
      },
      typed: user,
      run: async ({ choice }) => {
        await api.send("DELETE", `${path`/v1/users/${user}`}?messages=${choice ?? "delete"}`);
        return `${user} is erased.`;
      },
    }),
  },
];

interface UserActionsProps {
  readonly user: string;
  readonly sanctions: UserSanctions;
  readonly refresh: () => void;
}

export function UserActions({ user, sanctions, refresh }: UserActionsProps) {
  const { api, access } = useConsole();
  const ask = useAsk();
  const buttons = (harmless: boolean) =>
    ACTIONS.filter((action) => (action.harmless ?? false) === harmless).map(
      ({ name, label, method, route, question }) =>
        access.can(method, route) && (
          <button
            key={name}
            type="button"
            className={harmless ? "button" : "button danger"}
            data-testid={name}
            onClick={() => {
              const asked = question(api, user);
              const run: Question["run"] = async (answers) => {
                const outcome = await asked.run(answers);
                refresh();
                return outcome;
              };
              ask({ ...asked, run });
            }}
          >
            {label}
          </button>
        ),
    );
  // Without an answer, an action can still replace what holds.
  const known = sanctions.data ?? (sanctions.error && []);
  const onDone = () => {
    sanctions.refresh();
    refresh();
  };
  return (
    <div className="actions">
      {buttons(true)}
      {known &&
        (["mute", "ban"] as const).map((kind) => (
          <SanctionSwitch key={kind} kind={kind} user={user} sanctions={known} onDone={onDone} />
        ))}
      {buttons(false)}
    </div>
  );
}
