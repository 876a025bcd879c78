/** Suites that need root or programs of the system: skipped where these are missing, with the command that helps. */
import process from "node:process";

import { describe } from "vitest";

import { programPath } from "./program-folders.ts";

export interface Needs {
  readonly root?: boolean;
  readonly programs?: readonly string[];
}

function remedies(needs: Needs): string[] {
  const missing = (needs.programs ?? []).filter((program) => programPath(program) === null);
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
