// Warnings about unsafe settings, then the settings in force, with a filter.

import { useState } from "react";

import { Icon } from "../../../shared/icon.tsx";
import { Failure } from "../failure.tsx";
import { sentence } from "../format.ts";
import { href } from "../place.ts";
import { Prose } from "../prose.tsx";
import { matches, useSettings, valueText, type Setting, type Warning } from "../settings.ts";
import { Table, type Column } from "../table.tsx";
import { Words } from "../words.tsx";

/** Give it a `key` of the filter, so that another location shows in the field. */
export function SettingsView({ filter: given }: { filter: string }) {
  const { data, error, refresh } = useSettings();
  const [filter, setFilter] = useState(given);
  const [changedOnly, setChangedOnly] = useState(false);
  const wanted = (setting: Setting) =>
    matches(setting, filter) && !(changedOnly && setting.source === "default");
  return (
    <>
      <h1>Settings</h1>
      <Failure error={error} retry={refresh} />
      {!data && !error && <p className="empty">Loading …</p>}
      {data && (
        <>
          <Warnings warnings={data.warnings} />
          <h2>
            In force on <bdi>{data.node}</bdi>
          </h2>
          <div className="search" role="search">
            <label className="labelled">
              Filter by key or value
              <input
                className="field"
                data-testid="filter"
                type="search"
                autoComplete="off"
                autoCapitalize="off"
                spellCheck={false}
                value={filter}
                onChange={(event) => setFilter(event.target.value)}
              />
            </label>
            <label className="checkable">
              <input
                type="checkbox"
                data-testid="changed-only"
                checked={changedOnly}
                onChange={(event) => setChangedOnly(event.target.checked)}
              />
              Hide defaults
            </label>
          </div>
          <Table
            label="Settings"
            columns={COLUMNS}
            rows={data.settings.filter(wanted)}
            id={({ key }) => key}
            empty="No setting matches."
          />
        </>
      )}
    </>
  );
}

function Warnings({ warnings }: { warnings: readonly Warning[] }) {
  if (warnings.length === 0) {
    return (
      <p className="all-well" data-testid="no-warnings">
        <Icon name="check" />
        No setting is known to be unsafe.
      </p>
    );
  }
  return (
    <ul className="warnings" aria-label="Unsafe settings" data-testid="warnings">
      {warnings.map(({ key, text }) => (
        <li key={key} data-testid="warning" data-key={key}>
          <Icon name="alert" />
          <div>
            <a href={href("settings", undefined, { filter: key })}>
              <code>{key}</code>
            </a>
            <p>
              <Prose text={sentence(text)} />
            </p>
          </div>
        </li>
      ))}
    </ul>
  );
}

const COLUMNS: readonly Column<Setting>[] = [
  { head: "Setting", cell: ({ key }) => <Words>{key}</Words> },
  { head: "Value", kind: "text", cell: (setting) => <Value setting={setting} /> },
  {
    head: "Source",
    cell: ({ source }) => (source === "default" ? <span className="faint">default</span> : source),
  },
];

function Value({ setting }: { setting: Setting }) {
  const text = valueText(setting);
  if (setting.set !== undefined || text === "") return <span className="faint">{text || "–"}</span>;
  return <code>{text}</code>;
}
