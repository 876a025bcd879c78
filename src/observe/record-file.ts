/**
 * Records, such as items, as NDJSON. Written synchronously, some hundred KiB at a time: whoever reports them faster than the
 * disk takes them waits, so that none is lost and none piles up in memory. Opened for appending, so that two processes of one copy
 * can share the file: a write is whole lines.
 */

import { Buffer } from "node:buffer";
import { closeSync, ftruncateSync, openSync, writeSync } from "node:fs";

import type { PvferryError } from "../core/errors.ts";
import { errnoOf, fileError } from "../core/system-errors.ts";

const FLUSH_BYTES = 256 * 1024;
const FLUSH_EVERY_MS = 1_000;

export class RecordFile {
  readonly #what: string;
  readonly #file: string;
  readonly #how: "anew" | "append";
  readonly #onFailure: (error: PvferryError) => void;
  readonly #timer: NodeJS.Timeout;
  #descriptor: number | null;
  #lines = "";
  #failure: PvferryError | null = null;

  /**
   * `what` is what is written, in the plural. Throws when the file cannot be opened; `onFailure` is told once when it cannot
   * be written later.
   */
  constructor(
    what: string,
    file: string,
    how: "anew" | "append",
    onFailure: (error: PvferryError) => void,
  ) {
    this.#what = what;
    this.#file = file;
    this.#how = how;
    this.#onFailure = onFailure;
    this.#descriptor = openRecords(what, file, how);
    this.#timer = setInterval(() => this.#flush(), FLUSH_EVERY_MS);
    this.#timer.unref();
  }

  /** What kept the file from being whole; null as long as it is. */
  get failure(): PvferryError | null {
    return this.#failure;
  }

  add(record: object): void {
    if (this.#failure !== null) return;
    this.#lines += `${JSON.stringify(record)}\n`;
    if (this.#lines.length >= FLUSH_BYTES) this.#flush();
  }

  /**
   * Another session reports its records: those of the one before are taken back. Who shares the file with another process
   * takes back only what is not in it yet, and leaves the file to the one that has made it.
   */
  restart(): void {
    this.#lines = "";
    if (this.#how === "append" || this.#descriptor === null || this.#failure !== null) return;
    try {
      ftruncateSync(this.#descriptor, 0);
    } catch (cause) {
      // What has gone into a pipe or to a terminal stays there.
      if (errnoOf(cause) !== "EINVAL") this.#fail(cause);
    }
  }

  /** May be called twice. */
  close(): void {
    clearInterval(this.#timer);
    this.#flush();
    if (this.#descriptor !== null) closeSync(this.#descriptor);
    this.#descriptor = null;
  }

  #flush(): void {
    if (this.#lines === "" || this.#descriptor === null || this.#failure !== null) return;
    const bytes = Buffer.from(this.#lines, "utf8");
    this.#lines = "";
    try {
      for (let at = 0; at < bytes.length;) at += writeSync(this.#descriptor, bytes, at);
    } catch (cause) {
      this.#fail(cause);
    }
  }

  #fail(cause: unknown): void {
    this.#failure = fileError(`write the ${this.#what} to`, this.#file, cause);
    this.#onFailure(this.#failure);
  }
}

function openRecords(what: string, file: string, how: "anew" | "append"): number {
  try {
    if (how === "anew") closeSync(openSync(file, "w"));
    return openSync(file, "a");
  } catch (cause) {
    throw fileError(`write the ${what} to`, file, cause);
  }
}
