import { defineConfig } from "vitest/config";

// The tests start real servers and browsers; one file at a time keeps a small machine responsive.
export default defineConfig({
  resolve: {
    alias: { "@roomful/client": new URL("../client/src/index.ts", import.meta.url).pathname },
  },
  test: {
    include: ["test/**/*.test.{ts,tsx}"],
    fileParallelism: false,
    // Only a failing test waits that long. A busy machine needs far more than an idle one.
    testTimeout: 240_000,
    hookTimeout: 120_000,
    expect: { poll: { timeout: 60_000 } },
  },
});
