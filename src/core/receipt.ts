/**
 * The receipt: what a pass moved, what it could not keep, and the verdict. One JSON document, written alike by both
 * sides. When a pass took several sessions, everything but `sessions` is about the last one. A field is never taken away or given another meaning without a new number in `receipt`.
 */

import type {
  Change,
  EntryCounts,
  Item,
  ItemClass,
  NotPreserved,
  ReadBack,
  VerifyMode,
} from "../native/types.ts";
import type { ExitCode, ExitCodeName } from "./exit-codes.ts";
import type { ListedDifference } from "./itemize.ts";
import type { Mode } from "./mode.ts";

export const RECEIPT_VERSION = 1;

export type ItemCounts = { readonly [itemClass in ItemClass]: number };

export interface KnownBy {
  /** The bytes that the source read are those that the target wrote, in this pass. */
  readonly streamed: number;
  /** The same, and the target has read them from its medium since. */
  readonly readBack: number;
  /** Both sides have read the same bytes in this pass; none were sent. */
  readonly compared: number;
  /** Size and modification time alone. */
  readonly assumed: number;
  /** Sent and written, and not verified (--verify none). */
  readonly unverified: number;
}

/** What a dry run or a comparison has found. */
export interface Differences {
  readonly counts: { readonly [change in Change]: number };
  /** File data that a copy would send, as far as stat(2) tells, bytes. */
  readonly wouldMoveBytes: number;
  /** The first ones, 10,000 at most, by path in byte order. */
  readonly listed: readonly ListedDifference[];
  /** Counted, but not listed here. */
  readonly omitted: number;
}

/** How carefully a copy is checked. */
export const VERIFY_MODES = ["none", "stream", "disk"] as const satisfies readonly VerifyMode[];

/** How it was made sure that the target holds what was read (--verify). */
export interface Verification {
  readonly mode: VerifyMode;
  /** null unless the mode is "disk". Files are `repaired` that were not on the medium until they were written again. */
  readonly readBack: (ReadBack & { readonly repaired: number }) | null;
}

export interface ReceiptRoots {
  readonly content: string | null;
  readonly metadata: string;
}

/** What a pass is for: to copy most of a volume that is in use, or to end with both sides alike. */
export const PASS_KINDS = ["stage", "cutover"] as const;
export type PassKind = (typeof PASS_KINDS)[number];

export interface Pass {
  readonly kind: PassKind;
  /** Of the passes of this transfer onto this volume, from 1. */
  readonly number: number;
  /** Names this pass, in both sides' logs too. */
  readonly session: string;
}

export interface BothSides<T> {
  readonly source: T;
  readonly target: T;
}

export interface Verdict {
  readonly exitCode: ExitCode;
  readonly exitName: ExitCodeName;
  /** One sentence: how it ended. */
  readonly message: string;
  /** One sentence: what to do about it. */
  readonly next: string;
}

export interface Receipt extends Verdict {
  readonly receipt: typeof RECEIPT_VERSION;
  readonly transfer: string;
  readonly volume: string;
  /** With any other mode than "copy" nothing was written: what is said to be moved or removed is none. */
  readonly mode: Mode;
  readonly pass: Pass;
  /** BLAKE3 of the receipt of the pass before, see receiptJson, 64 hex digits; null for the first pass. */
  readonly previous: string | null;
  /** Releases of pvferry. */
  readonly agents: BothSides<string>;
  /** By the target's clock, from the hello until the volume was durable. */
  readonly startedAt: string;
  readonly endedAt: string;
  readonly durationMs: number;
  /** What the target wrote, or looked at. */
  readonly entries: EntryCounts;
  /** Sum of the sizes of regular files, holes included, bytes. */
  readonly logicalBytes: number;
  /** File data that crossed, before compression, bytes. */
  readonly movedBytes: number;
  /** File data of changed or unfinished files that the target had already, so that it did not cross, bytes. */
  readonly matchedBytes: number;
  /** Entries that the target had and the source did not, and that were removed. */
  readonly deleted: number;
  /** Filter rules that were in force, in their order. The digests cover what they left. */
  readonly rules: readonly string[];
  /** Entries that they excluded: not read on the source, left alone on the target. */
  readonly excluded: BothSides<number>;
  /** How many files are known to be equal in which way; together they are all of them. */
  readonly knownBy: KnownBy;
  /** null for a copy. */
  readonly differences: Differences | null;
  readonly verify: Verification;
  /** What index and lanes carried inside of TLS, bytes. */
  readonly wireBytes: number;
  /** Moved bytes over the whole duration. */
  readonly bytesPerSecond: number;
  /** How many sessions it took, as far as either side knows: 1 unless a connection was lost for good. */
  readonly sessions: number;
  readonly lanes: number;
  /** Lanes that were lost and dialled again. */
  readonly reconnects: number;
  /** Of the moved bytes, those that were sent more than once: lane lost, arrived wrong, file changed meanwhile. */
  readonly resent: number;
  /** docs/protocol.md, "Digests". The content root is null when it would not cover every file's bytes. */
  readonly roots: BothSides<ReceiptRoots>;
  readonly itemCounts: BothSides<ItemCounts>;
  readonly notPreserved: BothSides<readonly NotPreserved[]>;
  /** The first ones of both sides, 10,000 at most; by side, then by path in byte order. */
  readonly items: readonly Item[];
  /** Counted above, but not listed here. */
  readonly itemsOmitted: number;
}

/** The text of a receipt's file, the same on both sides. Its BLAKE3 is what the next pass's receipt names as `previous`. */
export function receiptJson(receipt: Receipt): string {
  return `${JSON.stringify(receipt, null, 2)}\n`;
}
