/** The transfer objects of native/addon/src/journal.rs; what types.ts says of all of them holds here too. */

import type { Moment } from "./types.ts";

export interface PassRecord {
  readonly kind: "stage" | "cutover";
  readonly number: number;
  /** The exit code. */
  readonly verdict: number;
  /** BLAKE3 of the receipt's JSON, 64 hex digits. */
  readonly receipt: string;
  readonly ended: Moment;
  /** By the source's clock. */
  readonly scanBegan: Moment;
  readonly scanEnded: Moment;
}

/** Files whose ctime lies in here are to be compared by content; `from` null: from the first one on. */
export interface JournalDoubt {
  readonly from: Moment | null;
  readonly until: Moment;
}

export interface JournalSession {
  readonly epoch: number;
  /** 32 hex digits; zeros when it is not known. */
  readonly bootId: string;
  readonly began: Moment;
  /** The same moment by the clock of the volume's file system. */
  readonly volumeClock: Moment;
  readonly doubt: JournalDoubt | null;
  readonly agent: string;
}

export interface JournalCheckpoint {
  readonly number: number;
  readonly bootId: string;
  readonly at: Moment;
  /** Files whose ctime is earlier are on disk. */
  readonly covers: Moment;
  /** Parts recorded before this offset are as well. */
  readonly position: number;
}

export interface JournalPart {
  readonly name: string;
  /** BLAKE3 of the path, 64 hex digits. */
  readonly pathHash: string;
  /** Of the whole file, bytes. */
  readonly size: number;
  readonly recorded: Moment;
  /** First and count of pieces that are in the part. */
  readonly ranges: readonly (readonly [number, number])[];
  readonly writtenBytes: number;
}

/** A large file that is being written into itself, or was when its session ended. */
export interface TornFile {
  readonly path: string | null;
  /** base64, when the bytes are not UTF-8. */
  readonly pathBytes: string | null;
}

export interface JournalText {
  readonly path: string;
  readonly transfer: string;
  readonly bytes: number;
  /** As in VolumeFacts. */
  readonly heldBy: string | null;
  /** As in VolumeFacts. */
  readonly isFinished: boolean;
  readonly doubt: JournalDoubt | null;
  /** In the order of the file; compaction keeps the first and the last session and the last checkpoint. */
  readonly sessions: readonly JournalSession[];
  readonly checkpoints: readonly JournalCheckpoint[];
  readonly passes: readonly PassRecord[];
  readonly parts: readonly JournalPart[];
  readonly torn: readonly TornFile[];
}
