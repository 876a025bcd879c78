/** What a session is for. */

/** "dry-run" says what a copy would do, "compare" whether both volumes are alike; neither writes anything. */
export const MODES = ["copy", "dry-run", "compare"] as const;
export type Mode = (typeof MODES)[number];
export type LookMode = Exclude<Mode, "copy">;

/** Whether the target's volume is only looked at. */
export function isLook(mode: Mode): mode is LookMode {
  return mode !== "copy";
}
