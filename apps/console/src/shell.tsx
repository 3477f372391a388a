// The page of a signed-in operator: the views that the key allows, and the chosen one.

import { usePopup } from "@roomful/react/components/use_popup.ts";
import { useEffect, useRef } from "react";

import { Icon, type IconName } from "../../shared/icon.tsx";
import { ThemeToggle } from "../../shared/theme.tsx";
import type { Access } from "./access.ts";
import { AskArea } from "./ask.tsx";
import { useConsole } from "./console.ts";
import { ROOM_CALLS, USER_CALLS } from "./links.tsx";
import { href, usePlace, type Place } from "./place.ts";
import { Audit } from "./views/audit.tsx";
import { Connections } from "./views/connections.tsx";
import { Explain } from "./views/explain.tsx";
import { Hooks } from "./views/hooks.tsx";
import { KeyView, isOpen, needs, type ViewAccess } from "./views/key.tsx";
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
  /** The calls of which each gives the view something to show. */
  readonly calls: readonly string[];
  readonly show: (place: Place) => React.ReactNode;
}

const VIEWS: readonly View[] = [
  { name: "overview", label: "Overview", icon: "gauge", calls: ["/stats"], show: () => <Overview /> },
  {
    name: "rooms",
    label: "Rooms",
    icon: "chat",
    calls: ["/rooms", ...ROOM_CALLS],
    show: ({ name, query }) =>
      name === undefined ? <Rooms /> : <RoomView key={name} room={name} tab={query.get("tab")} />,
  },
  {
    name: "users",
    label: "Users",
    icon: "people",
    calls: USER_CALLS,
    show: ({ name, query }) => <Users user={name} tab={query.get("tab")} />,
  },
  {
    name: "connections",
    label: "Connections",
    icon: "plug",
    calls: ["/connections"],
    show: ({ query }) => <Connections query={query} />,
  },
  {
    name: "reports",
    label: "Reports",
    icon: "flag",
    calls: ["/moderation/reports"],
    show: ({ query }) => <Reports tab={query.get("tab")} />,
  },
  {
    name: "sanctions",
    label: "Bans and mutes",
    icon: "shield",
    calls: ["/bans"],
    show: ({ query }) => <Sanctions tab={query.get("tab")} />,
  },
  {
    name: "explain",
    label: "Explain",
    icon: "search",
    calls: ["/explain"],
    show: ({ query }) => <Explain query={query} />,
  },
  {
    name: "records",
    label: "Webhooks",
    icon: "send",
    calls: ["/webhooks/records"],
    show: ({ query }) => <Records tab={query.get("tab")} />,
  },
  { name: "hooks", label: "Hooks", icon: "check", calls: ["/hooks"], show: () => <Hooks /> },
  {
    name: "audit",
    label: "Audit log",
    icon: "list",
    calls: ["/audit"],
    show: ({ query }) => <Audit query={query} />,
  },
  {
    name: "settings",
    label: "Settings",
    icon: "sliders",
    calls: ["/settings"],
    show: ({ query }) => {
      const filter = query.get("filter") ?? "";
      return <SettingsView key={filter} filter={filter} />;
    },
  },
];

/** What the key lacks for a view; without the calls that the server does not have. */
const accessTo = (access: Access, { name, label, calls }: View): ViewAccess => ({
  name,
  label,
  missing: calls.flatMap((call) => {
    const missing = access.missing("get", call);
    return missing ? [missing] : [];
  }),
});

export function Shell({ onLeave }: { onLeave: () => void }) {
  const { access } = useConsole();
  const place = usePlace();
  const views = VIEWS.filter((one) => isOpen(accessTo(access, one)));
  const view = place.view === "" ? views[0] : views.find(({ name }) => name === place.view);
  const title = place.view === "key" ? "Your key" : view?.label;
  const main = useFocus(`${place.view}/${place.name ?? ""}`);
  useEffect(() => {
    document.title = title === undefined ? "Roomful console" : `${title} – Roomful console`;
  }, [title]);
  return (
    <div className="shell">
      <Navigation views={views} current={view} onLeave={onLeave} />
      <main ref={main} className="view" tabIndex={-1} data-testid="view" data-view={view?.name}>
        <AskArea>
          {place.view === "key" ? (
            <KeyView views={VIEWS.map((one) => accessTo(access, one))} />
          ) : view ? (
            view.show(place)
          ) : (
            <Nothing place={place} />
          )}
        </AskArea>
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

/** Says why there is nothing to show: the key lacks a scope, or the address is wrong. */
function Nothing({ place }: { place: Place }) {
  const { access } = useConsole();
  const view = VIEWS.find(({ name }) => name === place.view);
  const lacking = view && needs(accessTo(access, view));
  return (
    <>
      <h1>{view?.label ?? "Nothing to show"}</h1>
      <p data-testid="why-nothing">
        {lacking
          ? `Your key does not show this view: it needs the scope ${lacking}.`
          : place.view === ""
            ? "Your key has no scope that the console can show."
            : view
              ? "This server does not have the view."
              : "This address names no view. Choose one from the menu."}
      </p>
      <p className="links">
        <a href={href("key")}>What your key shows</a>
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
        <a
          className="side-key"
          href={href("key")}
          title="What your API key shows"
          onClick={() => {
            if (open) close();
          }}
        >
          <bdi data-testid="key-name">{access.key?.name ?? "API key"}</bdi>
        </a>
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
