/** The system packages of the tests, where this machine is one that we may install them on. */
import { existsSync } from "node:fs";
import process from "node:process";

import { runStep } from "./workspace.ts";

const script = ".dev/system-packages.sh";

/** A failure is not the end: the tests that miss a program say so themselves, and under CI that fails the run. */
export function ensureSystemPackages(): void {
  if (!existsSync("/etc/debian_version") || process.getuid?.() !== 0) {
    process.stderr.write(
      `system packages: left alone; on Debian, \`sudo ${script}\` installs them\n`,
    );
    return;
  }
  runStep({ name: "system packages", command: script, args: [] });
}
