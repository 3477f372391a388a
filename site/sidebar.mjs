// The site's sections and pages, in their order.

import { existsSync, readdirSync } from "node:fs";
import { join } from "node:path";

const SECTIONS = [
  ["Start", ["start", "concepts", "comparison", "faq", "glossary"]],
  [
    "Guides",
    [
      "packages/client",
      "packages/react",
      "guide-presence",
      "guide-notifications",
      "guide-moderation",
      "guide-backend",
      "identity",
      "webhooks",
      "hooks",
      "recovery",
      "testing-your-chat",
      "import",
      "clients",
    ],
  ],
  [
    "Operate",
    [
      "guide-deploy",
      "console",
      "configuration",
      "security",
      "load-balancers",
      "cluster",
      "cluster-bus",
      "migration",
      "upgrading",
      "runbook",
      "capacity",
      "performance",
    ],
  ],
  ["Reference", ["events", "reference/events", "http-api", "reference/http", "reference/settings"]],
  [
    "Packages",
    [
      "packages/server",
      "packages/python",
      "packages/testing",
      "packages/roomful",
      "api/client/index",
      "api/react/index",
      "api/server/index",
      "api/testing/index",
    ],
  ],
  ["Inside", ["architecture", "changelog"]],
];

const TITLES = {
  start: "Five-minute start",
  comparison: "Comparison",
  faq: "Questions",
  "packages/client": "Chat in the browser",
  "packages/react": "Chat in React",
  "guide-presence": "Presence",
  "guide-notifications": "Notifications",
  "guide-moderation": "Moderation",
  "guide-backend": "Your backend",
  identity: "Identity providers",
  "guide-deploy": "Deploy",
  webhooks: "Webhooks and streams",
  hooks: "Hooks",
  recovery: "Reconnecting",
  "testing-your-chat": "Test your own chat",
  import: "Import",
  clients: "Client libraries",
  "cluster-bus": "The bus",
  cluster: "Clusters",
  migration: "SQLite to PostgreSQL",
  "load-balancers": "Load balancers",
  "http-api": "HTTP API",
  "reference/http": "HTTP calls",
  "reference/events": "Event schemas",
  "reference/settings": "Settings",
  "packages/server": "@roomful/server",
  "packages/python": "roomful (Python)",
  "packages/testing": "@roomful/testing",
  "packages/roomful": "npx roomful",
  "api/client/index": "API of @roomful/client",
  "api/react/index": "API of @roomful/react",
  "api/server/index": "API of @roomful/server",
  "api/testing/index": "API of @roomful/testing",
};

const title = (page) => TITLES[page] ?? page[0].toUpperCase() + page.slice(1);

/** VitePress's sidebar for the pages that exist. Pages of docs/ without a place come last. */
export function sidebar(pages) {
  const known = new Set(SECTIONS.flatMap(([, names]) => names));
  const lost = readdirSync(pages)
    .filter((name) => name.endsWith(".md") && name !== "index.md")
    .map((name) => name.slice(0, -3))
    .filter((name) => !known.has(name));
  // A new page appears at once; give it a place above.
  const here = lost.length > 0 ? [...SECTIONS, ["More", lost]] : SECTIONS;
  return here.map(([text, names]) => ({
    text,
    items: names
      .filter((name) => existsSync(join(pages, `${name}.md`)))
      .map((name) => ({ text: title(name), link: `/${name}` })),
  }));
}
