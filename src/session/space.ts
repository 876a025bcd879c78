/**
 * Whether the target can hold what the source has: estimated before the copy, exact after a scan, and watched while
 * the scan goes on. Pure. Refusals are 30.
 */

import { PvferryError } from "../core/errors.ts";
import { bytesText, countText } from "../core/units.ts";
import type { VolumeTotals } from "../native/types.ts";

export interface SpaceFacts {
  readonly totalBytes: number;
  readonly freeBytes: number;
  readonly usedBytes: number;
  /** 0 where the file system makes inodes as it needs them. */
  readonly totalInodes: number;
  readonly freeInodes: number;
  readonly isMountPoint: boolean;
}

/** What has been counted so far. */
export interface Counted {
  readonly entries: number;
  readonly allocatedBytes: number;
}

/**
 * A file system's own structures count as used on one side and as never free on the other; a rough estimate must not
 * refuse what just fits, since the running totals decide that exactly.
 */
const OVERHEAD_SHARE = 0.02;
const OVERHEAD_BYTES = 64 * 1024 * 1024;

/** What a source says of itself before the copy. */
export interface SourceSpace {
  readonly facts: SpaceFacts;
  /** Exact, if it has counted. */
  readonly totals: VolumeTotals | null;
  /** It leaves a part of its volume out. */
  readonly filtered: boolean;
}

/** Before the copy: by exact totals if there are any, otherwise by what statfs says of the source's file system. */
export function refusalBeforeCopy(
  { facts: source, totals, filtered }: SourceSpace,
  target: SpaceFacts,
): PvferryError | null {
  if (totals !== null) {
    return refusalFor(totals.allocatedBytes, neededInodes(source, totals.entries), target, "needs");
  }
  // A directory inside of a larger file system: its statfs says nothing about the directory.
  if (!source.isMountPoint || filtered) return null;
  const overhead = source.totalBytes * OVERHEAD_SHARE + OVERHEAD_BYTES;
  const bytes = Math.max(0, source.usedBytes - overhead);
  return refusalFor(bytes, usedInodes(source), target, "needs some");
}

/** While scanning: stops as soon as what was found cannot fit, long before the disk is full. */
export function refusalWhileCopying(
  source: SpaceFacts,
  counted: Counted,
  target: SpaceFacts,
): PvferryError | null {
  return refusalFor(
    counted.allocatedBytes,
    neededInodes(source, counted.entries),
    target,
    "already needs",
  );
}

/** Hard links are entries but not inodes, so that the source's own use is the other upper bound. */
function neededInodes(source: SpaceFacts, entries: number): number | null {
  const used = usedInodes(source);
  // The root is an entry, and the target has it already.
  return used === null ? null : Math.min(Math.max(0, entries - 1), used);
}

function usedInodes(facts: SpaceFacts): number | null {
  return facts.totalInodes === 0 ? null : facts.totalInodes - facts.freeInodes;
}

function refusalFor(
  bytes: number,
  inodes: number | null,
  target: SpaceFacts,
  needs: string,
): PvferryError | null {
  if (bytes > target.freeBytes) {
    return refusal(
      `${needs} ${bytesText(bytes)}, and the target volume has ${bytesText(target.freeBytes)} free`,
    );
  }
  if (inodes !== null && target.totalInodes > 0 && inodes > target.freeInodes) {
    return refusal(
      `${needs} ${countText(inodes)} inodes, and the target volume has ${countText(target.freeInodes)} free`,
    );
  }
  return null;
}

function refusal(what: string): PvferryError {
  return new PvferryError({
    code: 30,
    message: `The source volume ${what}.`,
    next: "Enlarge the target volume, then run the same command again.",
  });
}
