/** --dry-run and --mode, which come to one thing. */

import { PvferryError } from "../core/errors.ts";
import type { Mode } from "../core/mode.ts";

export interface ModeFlags {
  readonly dryRun: boolean;
  readonly mode: "copy" | "verify";
  readonly list: string | null;
}

export function modeOf({ dryRun, mode, list }: ModeFlags): Mode {
  if (dryRun && mode === "verify") {
    throw usage(
      "--dry-run and --mode verify cannot be given together: neither changes anything, but they look at different things.",
      "Leave out --dry-run to compare every byte, or --mode to see what a copy would do.",
    );
  }
  const chosen = dryRun ? "dry-run" : mode === "verify" ? "compare" : "copy";
  if (chosen === "copy" && list !== null) {
    throw usage(
      "--list is for --dry-run and --mode verify: a copy lists no differences.",
      "Leave out --list, or use --items for what could not be copied.",
    );
  }
  return chosen;
}

function usage(message: string, next: string): PvferryError {
  return new PvferryError({ code: 2, message, next });
}
