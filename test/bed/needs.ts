/** Suites that need root or programs of the system: skipped where these are missing, with the command that helps. */
import { accessSync, constants } from "node:fs";
import { join } from "node:path";
import process from "node:process";

import { describe } from "vitest";

export interface Needs {
  readonly root?: boolean;
  readonly programs?: readonly string[];
}

const FOLDERS = `${process.env["PATH"] ?? ""}:/usr/sbin:/sbin`.split(":");

function isInstalled(program: string): boolean {
  return FOLDERS.some((folder) => {
    try {
      accessSync(join(folder, program), constants.X_OK);
      return true;
    } catch {
      return false;
    }
  });
}

function remedies(needs: Needs): string[] {
  const missing = (needs.programs ?? []).filter((program) => !isInstalled(program));
  return [
    ...(needs.root === true && process.getuid?.() !== 0 ? ["sudo npm test"] : []),
    ...(missing.length > 0 ? [`sudo .dev/system-packages.sh (for ${missing.join(", ")})`] : []),
  ];
}

/** describe, or a skipped suite whose name says what to run to enable it. */
export function describeWith(needs: Needs, name: string, suite: () => void): void {
  const missing = remedies(needs);
  const title = missing.length === 0 ? name : `${name} (skipped; to enable: ${missing.join("; ")})`;
  // oxlint-disable-next-line vitest/valid-title, vitest/valid-describe-callback -- both are ours to pass on
  describe.skipIf(missing.length > 0)(title, suite);
}
