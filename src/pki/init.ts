/** A new transfer: its CA, its two leaves, its folder. */

import { readdir, rename, rm } from "node:fs/promises";
import path from "node:path";

import { PvferryError } from "../core/errors.ts";
import { escapeText } from "../core/names.ts";
import { errnoOf, fileError } from "../core/system-errors.ts";
import { newTransferId } from "../core/transfer-id.ts";
import { pkiTexts, PARTS, stagingName, syncPath, writeTexts } from "./layout.ts";
import { makePki } from "./make.ts";

export interface InitOptions {
  /** Made by this; may exist when it is empty. */
  readonly folder: string;
  readonly days: number;
  readonly keepCaKey: boolean;
}

/** The id of the new transfer. The folder appears in one step, complete. */
export async function initPki(options: InitOptions, signal: AbortSignal): Promise<string> {
  const folder = path.resolve(options.folder);
  await refuseOccupied(folder);
  const transfer = newTransferId();
  const pki = await makePki(transfer, options.days);
  signal.throwIfAborted();
  const staging = stagingName(folder);
  try {
    await writeTexts(staging, pkiTexts(pki, options.keepCaKey));
    await rename(staging, folder);
    await syncPath(path.dirname(folder));
  } catch (error) {
    await rm(staging, { recursive: true, force: true });
    throw fileError("write the PKI to", options.folder, error);
  }
  return transfer;
}

/**
 * A rename onto an empty folder takes its place, which is why that is allowed; onto the working directory it would take
 * the ground from under the shell.
 */
async function refuseOccupied(folder: string): Promise<void> {
  const names = await namesIn(folder);
  if (PARTS.some((part) => names.includes(part))) {
    throw new PvferryError({
      code: 2,
      message: `${escapeText(folder)} already holds a PKI; it is not overwritten.`,
      next: "Choose another --out, or use pvferry pki renew to renew the certificates of its transfer.",
    });
  }
  if (names.length > 0 || folder === process.cwd()) {
    throw new PvferryError({
      code: 2,
      message: `${escapeText(folder)} is ${names.length > 0 ? "not empty" : "the working directory"}.`,
      next: "Name a folder that does not exist yet, such as --out ./pki.",
    });
  }
}

/** Empty for a folder that is not there: it is made. */
async function namesIn(folder: string): Promise<readonly string[]> {
  try {
    return await readdir(folder);
  } catch (error) {
    if (errnoOf(error) === "ENOENT") return [];
    throw fileError("write the PKI to", folder, error);
  }
}
