// The page of all settings, from the file with their defaults.

import { cell } from "./schema.mjs";

/** Markdown for a TOML file in which comments stand before each setting. */
export function settingsReference(toml) {
  const lines = [
    "# Settings",
    "",
    "Every setting with its default and its environment variable. [Configuration](../configuration.md)",
    "explains files, variables and secrets. `roomful default-config` prints this list as a file.",
    "",
  ];
  let section = "";
  let comments = [];
  let rows = [];
  const end = () => {
    if (rows.length > 0) lines.push("| setting | default | meaning |", "|---|---|---|", ...rows, "");
    rows = [];
  };
  for (const line of toml.split("\n")) {
    const [, heading] = /^\[(\w+)\]/.exec(line) ?? [];
    const [, key, value] = /^(\w+) = (.*)$/.exec(line) ?? [];
    if (heading) {
      end();
      section = heading;
      lines.push(`## ${heading}`, "");
    } else if (line.startsWith("#")) {
      comments.push(line.slice(1).trim());
    } else if (key) {
      const name = [section, key].filter(Boolean).join(".");
      const variable = `ROOMFUL__${name.toUpperCase().replace(".", "__")}`;
      const [meaning] = comments.join(" ").split(" For example:");
      rows.push(
        `| \`${name}\`<br>\`${variable}\` | \`${cell(value.replace(/\s+#.*/, ""))}\` | ${cell(meaning)} |`,
      );
      comments = [];
    } else if (line === "") {
      comments = [];
    }
  }
  end();
  return lines.join("\n");
}
