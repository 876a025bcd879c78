import { fileURLToPath } from "node:url";

import { defineConfig, type TestProjectInlineConfiguration } from "vitest/config";

/** Projects run one after the other, so that what is timed is not timed beside a busy neighbour. */
function project(name: string, order: number, testTimeout: number): TestProjectInlineConfiguration {
  return {
    extends: true,
    test: {
      name,
      include: [`test/${name}/**/*.test.ts`],
      testTimeout,
      hookTimeout: testTimeout,
      sequence: { groupOrder: order },
      // A second, which is usual, is little on a busy machine.
      expect: { poll: { timeout: 10_000 } },
    },
  };
}

export default defineConfig({
  root: fileURLToPath(new URL("..", import.meta.url)),
  test: {
    pool: "forks",
    maxWorkers: 2,
    passWithNoTests: true,
    projects: [
      project("unit", 0, 20_000),
      project("bridge", 1, 60_000),
      project("e2e", 2, 120_000),
      project("privileged", 3, 300_000),
      project("soak", 4, 3_600_000),
    ],
  },
});
