import { defineConfig } from "vite";

// The server has the page at `/console`, and all its files below `/console/assets/`.
export default defineConfig({
  base: "/console/",
  publicDir: false,
  resolve: {
    // Single files of the package: the console has no use for the chat client beside them.
    alias: [
      {
        find: /^@roomful\/react\/(.*)$/,
        replacement: new URL("../../packages/react/src/$1", import.meta.url).pathname,
      },
    ],
  },
  build: {
    target: "es2022",
    assetsDir: "assets",
    // The page's content policy allows no `data:` URLs.
    assetsInlineLimit: 0,
    modulePreload: { polyfill: false },
    rolldownOptions: { checks: { pluginTimings: false } },
  },
  server: { proxy: { "/api": "http://127.0.0.1:3000" } },
});
