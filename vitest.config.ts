import { defineConfig } from "vitest/config";

export default defineConfig({
  test: {
    include: ["test/**/*.test.ts"],
    // A machine in a test is single-threaded and busy; more workers than cores only make time-outs likely.
    maxWorkers: 2,
    testTimeout: 60_000,
    coverage: { provider: "v8", include: ["src/**/*.ts"] },
  },
});
