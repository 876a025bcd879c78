/** What the target's flags say of one of its volumes. */

import type { FlagValues } from "../config/flags.ts";
import { LIMITS } from "../config/limits.ts";
import type { TargetRun, TlsMaterial } from "../session/run-options.ts";
import type { TransferFlags } from "./transfer.ts";
import type { OwnVolume } from "./volumes.ts";

type TargetFlags = FlagValues<"target">;

/** In the names of files it stands for the volume's. */
const VOLUME_MARK = "{volume}";

/** Flags that name a file for each volume. */
export const FILE_FLAGS = [
  "receipt",
  "items",
  "list",
] as const satisfies readonly (keyof TargetFlags)[];

export function namesVolume(file: string): boolean {
  return file.includes(VOLUME_MARK);
}

export function flagsOfVolume(flags: TargetFlags, { name }: OwnVolume): TransferFlags {
  const own = (file: string | null): string | null => file?.replaceAll(VOLUME_MARK, name) ?? null;
  const { receipt, items, list } = flags;
  return { ...flags, receipt: own(receipt), items: own(items), list: own(list), prints: false };
}

export function runOf(flags: TargetFlags, volume: OwnVolume, tls: TlsMaterial): TargetRun {
  const { reconnectTimeout } = flags;
  return {
    volume: volume.folder,
    volumeName: volume.name,
    transfer: tls.transfer,
    lanesMost: flags.lanes ?? LIMITS.lanesMost,
    reconnectTimeoutMs: reconnectTimeout,
    finishedWaitMs: reconnectTimeout > 0 ? reconnectTimeout : LIMITS.verdictKeptMs,
    existing: flags.existing,
    compare: flags.compare,
    maxDelete: flags.maxDelete,
    allowEmptySource: flags.allowEmptySource,
    inplace: flags.inplace,
    checkpointMs: flags.checkpoint,
    discardJournal: flags.discardJournal,
    readOnly: flags.readOnly,
  };
}
