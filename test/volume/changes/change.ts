/** What a change to a tree is given, and the questions that all of them ask. */
import { closeSync, lstatSync, openSync, writeSync, type Stats } from "node:fs";

import type { RandomBytes } from "../random-bytes.ts";

export const KIB = 1024;
export const BLOCK = 4 * KIB;

export interface Place {
  readonly root: string;
  readonly random: RandomBytes;
  /** Whether devices, foreign owners and trusted attributes can be made: an agent without privilege could not keep them. */
  readonly privileged: boolean;
  /** Groups that an unprivileged owner may give files to. */
  readonly groups: readonly number[];
  /**
   * Milliseconds: bytes change behind an unchanged time only in files that are younger. Those that the transfer's first
   * session found older than itself may be taken at their time's word.
   */
  readonly youngFrom: number;
  /** A name in one of the directories; it may be taken. */
  readonly path: () => string;
}

export type Change = (place: Place) => void;

export function statOf(path: string): Stats | null {
  return lstatSync(path, { throwIfNoEntry: false }) ?? null;
}

/** A regular file of at least so many bytes. */
export function fileAt(path: string, atLeast = 0): Stats | null {
  const stat = statOf(path);
  return stat?.isFile() === true && stat.size >= atLeast ? stat : null;
}

/** Blocks of a file, each at a place of its own, without changing its size. */
export function overwrite(path: string, blocks: readonly (readonly [at: number, Buffer])[]): void {
  const file = openSync(path, "r+");
  for (const [at, bytes] of blocks) writeSync(file, bytes, 0, bytes.length, at);
  closeSync(file);
}
