import { defineConfig } from "vitest/config";

// The tests start real servers; one file at a time keeps a small machine responsive. The documentation's code
// imports the package by name.
export default defineConfig({
  resolve: { alias: { "@roomful/server": `${import.meta.dirname}/src/index.ts` } },
  test: { include: ["test/**/*.test.ts"], fileParallelism: false, testTimeout: 60_000, hookTimeout: 60_000 },
});
