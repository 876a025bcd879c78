/** Where differences go as they are found: lines on stdout, objects in the file of --list. Nothing is held in memory. */

import process from "node:process";

import type { PvferryError } from "../core/errors.ts";
import { changeLine, listedDifference } from "../core/itemize.ts";
import type { Difference } from "../native/types.ts";
import { RecordFile } from "../observe/record-file.ts";

export interface DifferenceListOptions {
  readonly file: string | null;
  /** Lines on stdout. */
  readonly prints: boolean;
  /** Told once when the file cannot be written any more. */
  readonly onFailure: (error: PvferryError) => void;
}

export class DifferenceList {
  readonly #prints: boolean;
  readonly #file: RecordFile | null;

  /** Throws when the file cannot be opened. */
  constructor({ file, prints, onFailure }: DifferenceListOptions) {
    this.#prints = prints;
    this.#file = file === null ? null : new RecordFile("differences", file, "anew", onFailure);
  }

  get failure(): PvferryError | null {
    return this.#file?.failure ?? null;
  }

  /** A batch is one write: whoever reads the pipe slowly holds the session up, and no list piles up here. */
  add(differences: readonly Difference[]): void {
    for (const difference of differences) this.#file?.add(listedDifference(difference));
    if (this.#prints) process.stdout.write(`${differences.map(changeLine).join("\n")}\n`);
  }

  /** Another session begins with an empty list. */
  restart(): void {
    this.#file?.restart();
  }

  /** May be called twice. */
  close(): void {
    this.#file?.close();
  }
}
