// One user: presence, devices and actions; before that, the form that finds a user by id.

import { Avatar } from "@roomful/react/components/avatar.tsx";

import { path } from "../api.ts";
import { useAsk } from "../ask.tsx";
import { useConsole } from "../console.ts";
import { Age, Facts } from "../facts.tsx";
import { Failure } from "../failure.tsx";
import { dateTime } from "../format.ts";
import type { Device, Sanction, User } from "../model.ts";
import { go, href } from "../place.ts";
import { usePoll } from "../poll.ts";
import { SearchForm } from "../search_form.tsx";
import { Table, type Column } from "../table.tsx";
import { SanctionButton, UserSanctions } from "./sanctions.tsx";

export function Users({ user }: { user: string | undefined }) {
  return (
    <>
      <h1>Users</h1>
      <SearchForm
        key={user ?? ""}
        fields={[{ name: "user", label: "Id of a user", value: user, required: true }]}
        action="Find"
        onSubmit={({ user: wanted }) => go(href("users", wanted))}
      />
      {user !== undefined && <UserDetails user={user} />}
    </>
  );
}

const DEVICES: readonly Column<Device>[] = [
  { head: "Session", cell: ({ sessionId }) => <code>{sessionId}</code> },
  { head: "Rooms", kind: "number", cell: ({ rooms }) => rooms },
  { head: "Token expires", cell: ({ expiresAt }) => <Age at={expiresAt} /> },
];

function UserDetails({ user }: { user: string }) {
  const { api, access } = useConsole();
  const seesSanctions = access.can("get", "/users/{user}/sanctions");
  const {
    data: seen,
    error,
    refresh,
  } = usePoll(`user ${user}`, async (signal) => {
    const found = await api.get<User>(path`/v1/users/${user}`, { signal });
    if (!seesSanctions) return { found };
    const { sanctions } = await api.get<{ sanctions: Sanction[] }>(path`/v1/users/${user}/sanctions`, {
      signal,
    });
    return { found, sanctions };
  });
  const data = seen?.found;
  if (!data) return error ? <Failure error={error} retry={refresh} /> : <p className="empty">Loading …</p>;
  const name = data.name ?? data.userId;
  return (
    <>
      <Failure error={error} retry={refresh} />
      <header className="person" data-testid="user" data-user={data.userId}>
        <Avatar userId={data.userId} name={name} status={data.status} />
        <h2>
          <bdi>{name}</bdi>
        </h2>
      </header>
      <Facts
        facts={[
          ["Id", <bdi>{data.userId}</bdi>],
          [
            "Status",
            <span data-testid="user-status">
              {data.status}
              {data.text ? `: ${data.text}` : ""}
            </span>,
          ],
          ["Last seen", <Age at={data.lastSeen} none="never" />],
          ["Connections", <span data-testid="user-connections">{data.devices.length}</span>],
        ]}
      />
      <Actions user={user} refresh={refresh} />
      {seen?.sanctions && <UserSanctions user={user} sanctions={seen.sanctions} onDone={refresh} />}
      <section>
        <h3>Connections</h3>
        <Table
          label={`Connections of ${user}`}
          columns={DEVICES}
          rows={data.devices}
          id={({ sessionId }) => sessionId}
          empty="The user is not connected."
        />
        <p className="links">
          {access.can("get", "/connections") && (
            <a href={href("connections", undefined, { user })}>Details of these connections</a>
          )}
          {access.can("get", "/explain") && (
            <a href={href("explain", undefined, { user })}>Explain a delivery</a>
          )}
        </p>
      </section>
    </>
  );
}

function Actions({ user, refresh }: { user: string; refresh: () => void }) {
  const { api, access } = useConsole();
  const ask = useAsk();
  return (
    <div className="actions">
      {access.can("post", "/users/{user}/disconnect") && (
        <button
          type="button"
          className="button danger"
          data-testid="disconnect"
          onClick={() =>
            ask({
              title: `Disconnect ${user}?`,
              text: "All their connections close. They can connect again at once with a valid token.",
              action: "Disconnect",
              run: async () => {
                const answer = await api.send<{ closed: number }>(
                  "POST",
                  path`/v1/users/${user}/disconnect`,
                );
                refresh();
                return `${user} is disconnected. Connections closed: ${answer.closed}.`;
              },
            })
          }
        >
          Disconnect
        </button>
      )}
      {access.can("post", "/users/{user}/revoke") && (
        <button
          type="button"
          className="button danger"
          data-testid="revoke"
          onClick={() =>
            ask({
              title: `Revoke the tokens of ${user}?`,
              text: "All their connections close, and the server refuses every token issued so far. They need a new token.",
              action: "Revoke",
              run: async () => {
                const answer = await api.send<{ closed: number; revokedBefore: number }>(
                  "POST",
                  path`/v1/users/${user}/revoke`,
                );
                refresh();
                const before = dateTime(answer.revokedBefore);
                return `Tokens of ${user} from before ${before} no longer work. Connections closed: ${answer.closed}.`;
              },
            })
          }
        >
          Revoke tokens
        </button>
      )}
      <SanctionButton kind="mute" user={user} onDone={refresh} />
      <SanctionButton kind="ban" user={user} onDone={refresh} />
    </div>
  );
}
