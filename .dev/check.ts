/** Everything that can be judged without running the program. All steps run, so that one run shows all complaints. */
import process from "node:process";

import { runStep, type Step } from "./workspace.ts";

const cargo = (...args: string[]): Step => ({
  name: args[0] ?? "cargo",
  command: "cargo",
  args: [...args.slice(0, 1), "--manifest-path", "native/Cargo.toml", ...args.slice(1)],
});

const steps: readonly Step[] = [
  { name: "types", command: "tsc", args: ["--noEmit"] },
  { name: "lint", command: "oxlint", args: [] },
  { name: "format", command: "oxfmt", args: ["--check"] },
  { name: "unused", command: "knip", args: [] },
  cargo("fmt", "--all", "--check"),
  cargo("clippy", "--workspace", "--all-targets", "--locked", "--", "-D", "warnings"),
];

const failed = steps.filter((step) => !runStep(step));
if (failed.length > 0) {
  process.stderr.write(`check: ${failed.map((step) => step.name).join(", ")} failed\n`);
  process.exitCode = 1;
}
