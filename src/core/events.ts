/** What a session tells whoever watches it. Printers read the snapshot that observe/ keeps of these. */

import type { Difference, Item } from "../native/types.ts";

/** In the order in which a transfer goes through them. */
export const TRANSFER_PHASES = [
  "connect",
  "hello",
  "preflight",
  "copy",
  "close",
  "settle",
  "durable",
  "verdict",
] as const;
export type TransferPhase = (typeof TRANSFER_PHASES)[number];

export interface TransferCounters {
  /** File data on the target. Holes count in neither number: they take no time. */
  readonly bytesDone: number;
  /** null until the scan is done, or the volume was counted first. */
  readonly bytesTotal: number | null;
  readonly filesDone: number;
  readonly entriesScanned: number;
  /** Looked at again by the closing walk. */
  readonly entriesRechecked: number;
  readonly lanesAlive: number;
  readonly resent: number;
}

export type TransferEvent =
  | { readonly type: "phase"; readonly phase: TransferPhase }
  /** Nothing moves until this happens, in words: "the target at 10.0.0.7:6443 (connection refused)". */
  | { readonly type: "waiting"; readonly for: string }
  /** A session begins to copy. What an earlier one has counted and reported is void. */
  | { readonly type: "session"; readonly number: number }
  | ({ readonly type: "counters" } & TransferCounters)
  | { readonly type: "item"; readonly item: Item }
  | { readonly type: "differences"; readonly differences: readonly Difference[] }
  | { readonly type: "notice"; readonly message: string }
  /** For whoever wants to know more (-v). */
  | { readonly type: "detail"; readonly message: string };
