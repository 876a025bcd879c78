/** The receipt as a file: appears whole or not at all, and never survives a later run that has none. */

import { randomBytes } from "node:crypto";
import { accessSync, constants, lstatSync, renameSync, rmSync, writeFileSync } from "node:fs";
import path from "node:path";

import { receiptJson, type Receipt } from "../core/receipt.ts";
import { errnoOf, fileError } from "../core/system-errors.ts";

const ACTION = "write the receipt to";

/** Called before anything else is done, so that a wrong path does not cost a transfer. Removes an older receipt. */
export function prepareReceiptFile(file: string): void {
  try {
    if (isSpecial(file)) return;
    accessSync(path.dirname(path.resolve(file)), constants.W_OK | constants.X_OK);
    rmSync(file, { force: true });
  } catch (cause) {
    throw fileError(ACTION, file, cause);
  }
}

/**
 * Synced before it gets its name, so that a crash leaves a whole receipt or none. Throws what fileError makes of it.
 */
export function writeReceiptFile(file: string, receipt: Receipt): void {
  const text = receiptJson(receipt);
  const staged = `${file}.${randomBytes(4).toString("hex")}`;
  try {
    if (isSpecial(file)) return writeFileSync(file, text);
    writeFileSync(staged, text, { flag: "wx", flush: true });
    renameSync(staged, file);
  } catch (cause) {
    rmSync(staged, { force: true });
    throw fileError(ACTION, file, cause);
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
