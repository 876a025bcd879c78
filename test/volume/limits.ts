/** What a kind of file system can hold, as far as the volume maker has to care. */
import { execFileSync } from "node:child_process";

export interface FilesystemLimits {
  /** Largest value of an extended attribute that surely fits beside a few others. */
  readonly xattrBytes: number;
  /** Latest second whose nanoseconds are kept too (the very last one of a file system is stored without). */
  readonly latestSecond: number;
  /** Longest target of a symbolic link. */
  readonly symlinkBytes: number;
}

const LIMITS: { readonly [kind: string]: FilesystemLimits } = {
  // One block of 4 KiB for all attributes; 34 bits of seconds from 1901.
  "ext2/ext3": { xattrBytes: 3000, latestSecond: 15_032_385_534, symlinkBytes: 4095 },
  // 64 KiB a value; "bigtime" reaches July 2486.
  xfs: { xattrBytes: 65_000, latestSecond: 16_299_260_423, symlinkBytes: 1023 },
  // A value lives within a node of 16 KiB.
  btrfs: { xattrBytes: 15_000, latestSecond: 253_402_300_799, symlinkBytes: 4095 },
  tmpfs: { xattrBytes: 65_000, latestSecond: 253_402_300_799, symlinkBytes: 4095 },
};

/** What fits everywhere; for unknown kinds and for copies from one kind to another. */
export const COMMON_LIMITS: FilesystemLimits = {
  xattrBytes: 3000,
  latestSecond: 15_032_385_534,
  symlinkBytes: 1023,
};

export function limitsOf(directory: string): FilesystemLimits {
  const kind = execFileSync("stat", ["-f", "-c", "%T", directory], { encoding: "utf8" }).trim();
  return LIMITS[kind] ?? COMMON_LIMITS;
}
