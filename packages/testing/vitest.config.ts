import { defineConfig } from "vitest/config";

// The tests start real servers; one file at a time keeps a small machine responsive. The documentation's
// tests import the packages by name.
export default defineConfig({
  resolve: {
    alias: {
      "@roomful/testing": `${import.meta.dirname}/src/index.ts`,
      "@roomful/client": `${import.meta.dirname}/../client/src/index.ts`,
    },
  },
  test: {
    include: ["test/**/*.test.ts"],
    fileParallelism: false,
    testTimeout: 60_000,
    hookTimeout: 60_000,
  },
});
