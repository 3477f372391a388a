// The page of a signed-in operator: the views that the key allows, and the chosen one.

import { usePopup } from "@roomful/react/components/use_popup.ts";
import { useEffect, useRef } from "react";

import { Icon, type IconName } from "../../shared/icon.tsx";
import { ThemeToggle } from "../../shared/theme.tsx";
import type { Access } from "./access.ts";
import { AskArea } from "./ask.tsx";
import { useConsole } from "./console.ts";
import { href, usePlace, type Place } from "./place.ts";
import { Audit } from "./views/audit.tsx";
import { Connections } from "./views/connections.tsx";
import { Explain } from "./views/explain.tsx";
import { Overview } from "./views/overview.tsx";
import { Records } from "./views/records.tsx";
import { Reports } from "./views/reports.tsx";
import { RoomView } from "./views/room.tsx";
import { Rooms } from "./views/rooms.tsx";
import { Sanctions } from "./views/sanctions.tsx";
import { SettingsView } from "./views/settings.tsx";
import { Users } from "./views/users.tsx";

interface View {
  readonly name: string;
  readonly label: string;
  readonly icon: IconName;
  /** The call without which the view has nothing to show. */
  readonly call: string;
  readonly show: (place: Place) => React.ReactNode;
}

const VIEWS: readonly View[] = [
  { name: "overview", label: "Overview", icon: "gauge", call: "/stats", show: () => <Overview /> },
  {
    name: "rooms",
    label: "Rooms",
    icon: "chat",
    call: "/rooms",
    show: ({ name, query }) =>
      name === undefined ? <Rooms /> : <RoomView key={name} room={name} tab={query.get("tab")} />,
  },
  {
    name: "users",
    label: "Users",
    icon: "people",
    call: "/users/{user}",
    show: ({ name }) => <Users user={name} />,
  },
  {
    name: "connections",
    label: "Connections",
    icon: "plug",
    call: "/connections",
    show: ({ query }) => <Connections query={query} />,
  },
  {
    name: "reports",
    label: "Reports",
    icon: "flag",
    call: "/moderation/reports",
    show: ({ query }) => <Reports tab={query.get("tab")} />,
  },
  {
    name: "sanctions",
    label: "Bans and mutes",
    icon: "shield",
    call: "/bans",
    show: ({ query }) => <Sanctions tab={query.get("tab")} />,
  },
  {
    name: "explain",
    label: "Explain",
    icon: "search",
    call: "/explain",
    show: ({ query }) => <Explain query={query} />,
  },
  {
    name: "records",
    label: "Webhooks",
    icon: "send",
    call: "/webhooks/records",
    show: ({ query }) => <Records tab={query.get("tab")} />,
  },
  {
    name: "audit",
    label: "Audit log",
    icon: "list",
    call: "/audit",
    show: ({ query }) => <Audit query={query} />,
  },
  {
    name: "settings",
    label: "Settings",
    icon: "sliders",
    call: "/settings",
    show: ({ query }) => {
      const filter = query.get("filter") ?? "";
      return <SettingsView key={filter} filter={filter} />;
    },
  },
];

const allowed = (access: Access) => VIEWS.filter(({ call }) => access.can("get", call));

export function Shell({ onLeave }: { onLeave: () => void }) {
  const { access } = useConsole();
  const place = usePlace();
  const views = allowed(access);
  const view = place.view === "" ? views[0] : views.find(({ name }) => name === place.view);
  const main = useFocus(`${place.view}/${place.name ?? ""}`);
  useEffect(() => {
    document.title = view ? `${view.label} – Roomful console` : "Roomful console";
  }, [view]);
  return (
    <div className="shell">
      <Navigation views={views} current={view} onLeave={onLeave} />
      <main ref={main} className="view" tabIndex={-1} data-testid="view" data-view={view?.name}>
        <AskArea>{view ? view.show(place) : <Nothing any={views.length > 0} />}</AskArea>
      </main>
    </div>
  );
}

/** Moves the focus to the view when another one opens, for keyboards and screen readers. */
function useFocus(subject: string) {
  const element = useRef<HTMLElement>(null);
  const first = useRef(subject);
  useEffect(() => {
    if (first.current === subject) return;
    first.current = "";
    element.current?.focus();
    element.current?.scrollTo(0, 0);
  }, [subject]);
  return element;
}

function Nothing({ any }: { any: boolean }) {
  return (
    <>
      <h1>Nothing to show</h1>
      <p>
        {any
          ? "This address names no view, or one that your key may not see. Choose one from the menu."
          : "Your key has no scope that the console can show. Add stats:read, rooms:read or users:read to it."}
      </p>
    </>
  );
}

interface NavigationProps {
  readonly views: readonly View[];
  readonly current: View | undefined;
  readonly onLeave: () => void;
}

function Navigation({ views, current, onLeave }: NavigationProps) {
  const { access } = useConsole();
  const { open, toggle, close, area, button } = usePopup<HTMLElement>();
  return (
    <header ref={area} className="side" data-open={open}>
      <div className="side-head">
        <span className="mark small">
          <Icon name="gauge" />
        </span>
        <span className="side-title">Roomful console</span>
        <button
          ref={button}
          type="button"
          className="icon-button only-narrow"
          data-testid="menu"
          aria-expanded={open}
          aria-label="Menu"
          onClick={toggle}
        >
          <Icon name="menu" />
        </button>
      </div>
      <nav className="side-nav" aria-label="Views" data-testid="views">
        {views.map(({ name, label, icon }) => (
          <a
            key={name}
            href={href(name)}
            data-testid={`view-${name}`}
            aria-current={name === current?.name ? "page" : undefined}
            onClick={() => {
              if (open) close();
            }}
          >
            <Icon name={icon} />
            {label}
          </a>
        ))}
      </nav>
      <div className="side-foot">
        <span className="side-key" title="The name of your API key">
          <bdi data-testid="key-name">{access.key?.name ?? "API key"}</bdi>
        </span>
        <ThemeToggle />
        <button
          type="button"
          className="icon-button"
          data-testid="sign-out"
          aria-label="Sign out"
          title="Sign out"
          onClick={() => onLeave()}
        >
          <Icon name="leave" />
        </button>
      </div>
    </header>
  );
}
