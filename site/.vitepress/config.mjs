// The site's settings. No analytics, no fonts and no scripts from elsewhere.

import { join } from "node:path";

import { defineConfig } from "vitepress";

import { sidebar } from "../sidebar.mjs";

/** Anchors as code hosts make them, so that links in docs/ work there and here. */
const slugify = (heading) =>
  heading
    .trim()
    .toLowerCase()
    .replace(/[^\p{L}\p{N}\s_-]/gu, "")
    .replace(/\s/g, "-");

export default defineConfig({
  title: "Roomful",
  description: "A chat, presence and notification server for stock Socket.IO clients.",
  srcDir: "pages",
  // The copies for llms.txt are files, not pages.
  srcExclude: ["public/**"],
  outDir: "dist",
  cleanUrls: true,
  lastUpdated: false,
  // VitePress fails on links to pages that do not exist, and check_links.mjs on anchors.
  ignoreDeadLinks: false,
  markdown: {
    theme: { light: "github-light", dark: "github-dark" },
    anchor: { slugify },
    // Headings such as `GET /rooms/{room}` have no attributes.
    attrs: { disable: true },
  },
  themeConfig: {
    nav: [
      { text: "Start", link: "/start" },
      { text: "Guides", link: "/packages/client" },
      { text: "Reference", link: "/events" },
      { text: "Operate", link: "/guide-deploy" },
    ],
    sidebar: sidebar(join(import.meta.dirname, "../pages")),
    outline: [2, 3],
    search: { provider: "local" },
  },
});
