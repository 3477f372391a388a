import { defineConfig } from "vite";

const source = (path: string): string => new URL(`../../packages/${path}`, import.meta.url).pathname;

// The server replaces the prefix `/assets/` in the built index.html by its `assets_url`: all files are there.
export default defineConfig({
  base: "/",
  publicDir: false,
  resolve: {
    // The page is built from the packages' sources, so that a change shows without building them.
    alias: [
      { find: "@roomful/react/styles.css", replacement: source("react/src/styles/index.css") },
      { find: "@roomful/react", replacement: source("react/src/index.ts") },
      { find: "@roomful/client", replacement: source("client/src/index.ts") },
    ],
  },
  build: {
    target: "es2022",
    assetsDir: "assets",
    // The page's content policy allows no `data:` URLs.
    assetsInlineLimit: 0,
    modulePreload: { polyfill: false },
    // The directive is for frameworks with server components.
    rolldownOptions: { checks: { moduleLevelDirective: false, pluginTimings: false } },
  },
  server: {
    proxy: {
      "/socket.io": { target: "http://127.0.0.1:3000", ws: true },
      "/demo": "http://127.0.0.1:3000",
    },
  },
});
