import { defineConfig } from "vitest/config";

// The tests start real servers; one file at a time keeps a small machine responsive.
export default defineConfig({
  test: { include: ["test/**/*.test.ts"], fileParallelism: false, testTimeout: 60_000, hookTimeout: 60_000 },
});
