import { defineConfig } from "vite";

// The server replaces the prefix `/assets/` in the built index.html by its `assets_url`, so every file must lie there.
export default defineConfig({
  base: "/",
  publicDir: false,
  build: {
    target: "es2022",
    assetsDir: "assets",
    // The page's content policy allows no `data:` URLs.
    assetsInlineLimit: 0,
    modulePreload: { polyfill: false },
  },
  server: {
    proxy: {
      "/socket.io": { target: "http://127.0.0.1:3000", ws: true },
      "/demo": "http://127.0.0.1:3000",
    },
  },
});
