/** The transfer objects of native/addon/src/volume.rs; what types.ts says of all of them holds here too. */

import type { NativeErrorText } from "./types.ts";

export interface VolumeFacts {
  readonly filesystem: string;
  readonly readOnly: boolean;
  readonly totalBytes: number;
  /** What this process may fill. */
  readonly freeBytes: number;
  /** What is filled; a reserve that the file system keeps is neither. */
  readonly usedBytes: number;
  readonly totalInodes: number;
  readonly freeInodes: number;
  /** A whole file system is mounted there; false for a bind mount of a part of one. */
  readonly isMountPoint: boolean;
  /** Names at the root, at most 20, escaped for printing; lost+found and pvferry's own folder aside. */
  readonly firstNames: readonly string[];
  /** The transfer id and volume recorded by an unfinished copy into this volume; null when there is none. */
  readonly unfinishedTransfer: string | null;
  /** That copy is finished: its journal and the folder are all that its target could not remove. */
  readonly isFinished: boolean;
  /** There is a journal, and it cannot be read: what a target would end with. */
  readonly journalError: NativeErrorText | null;
  /** The process that writes to this volume now, escaped for printing; null when there is none but this one. */
  readonly heldBy: string | null;
  readonly uid: number;
  readonly gid: number;
  readonly capabilities: string;
}

export interface VolumeTotals {
  readonly entries: number;
  readonly files: number;
  readonly directories: number;
  /** Apparent size of regular files, bytes. */
  readonly bytes: number;
  /** Allocated bytes, holes not counted, hard links counted once. */
  readonly allocatedBytes: number;
}

/** A filter rule that cannot be followed. */
export interface BadRule {
  /** Its place in the list, from 0. */
  readonly rule: number;
  /** Completes "the pattern ...". */
  readonly why: string;
}

/** Ends the work it was given to, and tells nobody else. */
export interface StopFlag {
  /** The work's promise rejects with "interrupted" soon after, unless it is done by then. May be called twice. */
  close(): void;
}

export interface DigestOptions {
  readonly volume: string;
  readonly threads: number;
  readonly oneFileSystem: boolean;
  readonly selinux: "keep" | "drop";
  /** Lines of a gitignore file without comments; later ones win. badRule() has nothing against them. */
  readonly rules: readonly string[];
}

export interface Roots {
  /** 64 hex digits each. */
  readonly content: string;
  readonly metadata: string;
}

export interface FileDigest {
  readonly path: string | null;
  readonly pathBytes: string | null;
  /** 64 hex digits. */
  readonly digest: string;
  /** "plain": what b3sum prints. "block": docs/protocol.md, block form. */
  readonly form: "plain" | "block";
}
