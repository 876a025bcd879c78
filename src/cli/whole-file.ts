/** A small file that appears whole or not at all, and never survives from an earlier run. */

import { randomBytes } from "node:crypto";
import { accessSync, constants, lstatSync, renameSync, rmSync, writeFileSync } from "node:fs";
import path from "node:path";

import { errnoOf, fileError } from "../core/system-errors.ts";

export class WholeFile {
  readonly #file: string;
  /** Completes "Cannot ... FILE". */
  readonly #action: string;

  constructor(file: string, action: string) {
    this.#file = file;
    this.#action = action;
  }

  /** Called before anything else is done, so that a wrong path does not cost a transfer. Removes an older one. */
  prepare(): void {
    try {
      if (isSpecial(this.#file)) return;
      const folder = path.dirname(path.resolve(this.#file));
      accessSync(folder, constants.W_OK | constants.X_OK);
      rmSync(this.#file, { force: true });
    } catch (cause) {
      throw fileError(this.#action, this.#file, cause);
    }
  }

  /** Synced before it gets its name, so that a crash leaves a whole one or none. Throws what fileError makes of it. */
  write(text: string): void {
    const staged = `${this.#file}.${randomBytes(4).toString("hex")}`;
    try {
      if (isSpecial(this.#file)) return writeFileSync(this.#file, text);
      writeFileSync(staged, text, { flag: "wx", flush: true });
      renameSync(staged, this.#file);
    } catch (cause) {
      rmSync(staged, { force: true });
      throw fileError(this.#action, this.#file, cause);
    }
  }

  /** Never throws: what cannot be removed stays. */
  remove(): void {
    try {
      if (!isSpecial(this.#file)) rmSync(this.#file, { force: true });
    } catch {
      // Its folder may be gone, or somebody else's by now.
    }
  }
}

/** A device, a FIFO or a link (such as /dev/stdout) is written through, never replaced. */
function isSpecial(file: string): boolean {
  try {
    const stat = lstatSync(file);
    return !stat.isFile() && !stat.isDirectory();
  } catch (error) {
    if (errnoOf(error) === "ENOENT") return false;
    throw error;
  }
}
