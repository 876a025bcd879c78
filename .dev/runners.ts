/** Runs the two test runners and counts what they ran. */
import { spawnSync } from "node:child_process";
import { readFileSync, rmSync } from "node:fs";
import { join } from "node:path";
import process from "node:process";

import { root, runStep } from "./workspace.ts";

export interface Totals {
  readonly passed: number;
  readonly failed: number;
  readonly skipped: number;
}

/** A runner that ends badly without a failed test (it does not compile, it crashed) counts as one failure. */
function honest(totals: Totals, succeeded: boolean): Totals {
  return succeeded || totals.failed > 0 ? totals : { ...totals, failed: 1 };
}

export function cargoTests(): Totals {
  process.stderr.write("cargo tests\n");
  const args = ["test", "--manifest-path", "native/Cargo.toml", "--locked", "--workspace"];
  const result = spawnSync("cargo", args, {
    cwd: root,
    stdio: ["ignore", "pipe", "inherit"],
    encoding: "utf8",
    maxBuffer: 64 << 20,
  });
  process.stdout.write(result.stdout);
  const totals = { passed: 0, failed: 0, skipped: 0 };
  const summary = /^test result: \w+\. (\d+) passed; (\d+) failed; (\d+) ignored/gm;
  for (const [, passed, failed, ignored] of result.stdout.matchAll(summary)) {
    totals.passed += Number(passed);
    totals.failed += Number(failed);
    totals.skipped += Number(ignored);
  }
  return honest(totals, result.status === 0);
}

/** All of test/vitest.config.ts but soak, which takes longer than anybody waits. */
const PROJECTS = ["unit", "bridge", "e2e", "privileged"];

interface VitestReport {
  readonly numPassedTests: number;
  readonly numFailedTests: number;
  readonly numPendingTests: number;
  readonly numTodoTests: number;
  readonly testResults: readonly {
    readonly assertionResults: readonly { readonly fullName: string; readonly status: string }[];
  }[];
}

export function vitestTests(extra: readonly string[]): Totals {
  // Beside what the tests write themselves: nothing is left elsewhere, whatever ends this process.
  const file = join(root, "test/out/report.json");
  rmSync(file, { force: true });
  const config = ["--config", "test/vitest.config.ts"];
  const reporters = ["--reporter=default", "--reporter=json", `--outputFile.json=${file}`];
  const projects = PROJECTS.map((name) => `--project=${name}`);
  const args = ["run", ...config, ...projects, ...reporters, ...extra];
  const succeeded = runStep({ name: "vitest", command: "vitest", args });
  return honest(vitestTotals(file), succeeded);
}

/** Vitest says how many; which, and what would enable them, is in their names. */
function nameSkipped(report: VitestReport): void {
  const ran = new Set(["passed", "failed"]);
  const tests = report.testResults.flatMap((file) => file.assertionResults);
  for (const test of tests.filter(({ status }) => !ran.has(status))) {
    process.stdout.write(`skipped: ${test.fullName}\n`);
  }
}

/** No report means that vitest did not get as far as running. */
function vitestTotals(file: string): Totals {
  try {
    const report = JSON.parse(readFileSync(file, "utf8")) as VitestReport;
    nameSkipped(report);
    return {
      passed: report.numPassedTests,
      failed: report.numFailedTests,
      skipped: report.numPendingTests + report.numTodoTests,
    };
  } catch {
    return { passed: 0, failed: 1, skipped: 0 };
  }
}
