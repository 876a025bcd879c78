import { spawnSync } from "node:child_process";
import process from "node:process";
import { fileURLToPath } from "node:url";

/** Where the sources are, with a trailing slash. */
export const root = fileURLToPath(new URL("..", import.meta.url));

export interface Step {
  readonly name: string;
  readonly command: string;
  readonly args: readonly string[];
}

/** Runs a step in the workspace with its output passed through; true when it ended well. */
export function runStep(step: Step): boolean {
  const started = performance.now();
  process.stderr.write(`${step.name}: ${step.command} ${step.args.join(" ")}\n`);
  const result = spawnSync(step.command, step.args, { cwd: root, stdio: ["ignore", 1, 2] });
  if (result.error) process.stderr.write(`${step.name}: ${result.error.message}\n`);
  const seconds = ((performance.now() - started) / 1000).toFixed(1);
  process.stderr.write(`${step.name}: ${result.status === 0 ? "ok" : "FAILED"} (${seconds} s)\n`);
  return result.status === 0;
}

/** Runs steps in order and ends the process at the first that fails. */
export function runAll(steps: readonly Step[]): void {
  for (const step of steps) {
    if (!runStep(step)) process.exit(1);
  }
}
