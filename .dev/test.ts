/**
 * npm test: system packages, build, checks, the tests of both languages, and a last line with the totals. Everything runs
 * even after a failure, except that nothing can be tested when the build fails. When CI is set, a test that was skipped is
 * a failure.
 */
import process from "node:process";

import { cargoTests, vitestTests, type Totals } from "./runners.ts";
import { ensureSystemPackages } from "./system-packages.ts";
import { root, runStep } from "./workspace.ts";

const ci = (process.env["CI"] ?? "") !== "";

function task(file: string, ...args: string[]): boolean {
  return runStep({
    name: file,
    command: process.execPath,
    args: [`${root}.dev/${file}.ts`, ...args],
  });
}

/** A step that is not a test counts as one, so that the totals never look better than the run. */
function asTotals(passed: boolean): Totals {
  return { passed: passed ? 1 : 0, failed: passed ? 0 : 1, skipped: 0 };
}

function finish(all: readonly Totals[]): void {
  const sum = (key: keyof Totals): number => all.reduce((total, one) => total + one[key], 0);
  const skipped = sum("skipped");
  if (skipped > 0) {
    const verdict = ci ? "counted as failed, because CI is set" : "named above";
    process.stdout.write(`${skipped} skipped (${verdict})\n`);
  }
  const failed = sum("failed") + (ci ? skipped : 0);
  process.stdout.write(`${sum("passed")} passed, ${failed} failed\n`);
  process.exitCode = failed > 0 ? 1 : 0;
}

ensureSystemPackages();
if (task("build", "--dev")) {
  finish([asTotals(task("check")), cargoTests(), vitestTests(process.argv.slice(2))]);
} else {
  finish([asTotals(false)]);
}
