import { defineConfig } from "vitest/config";

// The tests start real servers and browsers; one file at a time keeps a small machine responsive.
export default defineConfig({
  resolve: {
    alias: { "@roomful/client": new URL("../client/src/index.ts", import.meta.url).pathname },
  },
  test: {
    include: ["test/**/*.test.{ts,tsx}"],
    fileParallelism: false,
    testTimeout: 60_000,
    hookTimeout: 60_000,
    // Only a failing test waits that long; a busy machine needs more than the default of a second.
    expect: { poll: { timeout: 20_000 } },
  },
});
