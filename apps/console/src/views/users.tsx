// One user: presence, actions, and lists of all that concerns them; before that, the form that finds one by
// id.

import { Avatar } from "@roomful/react/components/avatar.tsx";
import type { ReactNode } from "react";

import { path } from "../api.ts";
import { useConsole } from "../console.ts";
import { Age, Facts } from "../facts.tsx";
import { Failure } from "../failure.tsx";
import { Locked } from "../locked.tsx";
import type { User } from "../model.ts";
import { go, href } from "../place.ts";
import { usePoll } from "../poll.ts";
import { SearchForm } from "../search_form.tsx";
import { Tabs } from "../tabs.tsx";
import { Unknown } from "../unknown.tsx";
import { UserActions } from "./user_actions.tsx";
import { UserBlocks, UserConnections, UserReports, UserRooms } from "./user_parts.tsx";
import { SanctionTags, SanctionsOfUser, useSanctions, type UserSanctions } from "./user_sanctions.tsx";

export function Users({ user, tab }: { user: string | undefined; tab: string | null }) {
  return (
    <>
      <h1>Users</h1>
      <SearchForm
        key={`form of ${user ?? ""}`}
        fields={[{ name: "user", label: "Id of a user", value: user, required: true }]}
        action="Find"
        onSubmit={({ user: wanted }) => go(href("users", wanted))}
      />
      {user !== undefined && <UserDetails key={user} user={user} tab={tab} />}
    </>
  );
}

interface Part {
  readonly name: string;
  readonly label: string;
  /** The call that it shows. */
  readonly route: string;
  readonly show: (user: string, sanctions: UserSanctions) => ReactNode;
}

const PARTS: readonly Part[] = [
  { name: "rooms", label: "Rooms", route: "/users/{user}/rooms", show: (user) => <UserRooms user={user} /> },
  {
    name: "sanctions",
    label: "Bans and mutes",
    route: "/users/{user}/sanctions",
    show: (user, sanctions) => <SanctionsOfUser user={user} sanctions={sanctions} />,
  },
  {
    name: "connections",
    label: "Connections",
    route: "/connections",
    show: (user) => <UserConnections user={user} />,
  },
  {
    name: "reports",
    label: "Reports",
    route: "/moderation/reports",
    show: (user) => <UserReports user={user} />,
  },
  {
    name: "blocks",
    label: "Blocks",
    route: "/users/{user}/blocks",
    show: (user) => <UserBlocks user={user} />,
  },
];

function UserDetails({ user, tab }: { user: string; tab: string | null }) {
  const { access } = useConsole();
  const parts = PARTS.filter(({ route }) => access.can("get", route));
  const open = parts.find(({ name }) => name === tab) ?? parts[0];
  const sanctions = useSanctions(user);
  const Head = access.can("get", "/users/{user}") ? Person : Stranger;
  return (
    <>
      <Head user={user} sanctions={sanctions} />
      <Tabs
        label="Parts of the user"
        tabs={parts.map(({ name, label }) => ({ name, label, href: href("users", user, { tab: name }) }))}
        open={open?.name}
      />
      {open?.show(user, sanctions)}
      {PARTS.map(({ label, route }) => (
        <Locked key={route} what={label} route={route} />
      ))}
      {access.can("get", "/explain") && (
        <p className="links">
          <a href={href("explain", undefined, { user })}>Explain a delivery</a>
        </p>
      )}
    </>
  );
}

interface HeadProps {
  readonly user: string;
  readonly sanctions: UserSanctions;
}

/** Presence and actions. */
function Person({ user, sanctions }: HeadProps) {
  const { api } = useConsole();
  const { data, error, refresh } = usePoll(`user ${user}`, (signal) =>
    api.get<User>(path`/v1/users/${user}`, { signal }),
  );
  if (error?.status === 404) return <Unknown what="user with the id" name={user} />;
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
        <SanctionTags sanctions={sanctions.data ?? []} />
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
      <UserActions user={user} sanctions={sanctions} refresh={refresh} />
    </>
  );
}

/** For a key that may act on a user, and not see them. */
function Stranger({ user, sanctions }: HeadProps) {
  return (
    <>
      <header className="person">
        <h2>
          <bdi>{user}</bdi>
        </h2>
        <SanctionTags sanctions={sanctions.data ?? []} />
      </header>
      <Locked what="Presence and profile" route="/users/{user}" />
      <UserActions user={user} sanctions={sanctions} refresh={() => undefined} />
    </>
  );
}
