/** Whether a volume can be used at all, before anybody is called or kept waiting. Failures are 31, in words. */

import { accessSync, constants } from "node:fs";

import { PvferryError } from "../core/errors.ts";
import type { Mode } from "../core/mode.ts";
import { escapeText } from "../core/names.ts";
import { quantityText } from "../core/units.ts";
import { fromNativeError } from "../native/errors.ts";
import type { Addon, VolumeFacts } from "../native/types.ts";
import type { TargetRun } from "./run-options.ts";

export function checkSourceVolume(addon: Addon, path: string): VolumeFacts {
  const facts = addon.volumeFacts(path);
  requireAccess(path, "source", constants.R_OK | constants.X_OK);
  return facts;
}

type TargetTerms = Pick<TargetRun, "volume" | "discardJournal" | "existing" | "readOnly">;

/**
 * `transfer` is what an unfinished copy of the same transfer would have recorded there. The lock is only looked at: who
 * takes it decides, once there is something to write. `mode` is null as long as no source has said what it wants: with
 * --read-only that decides what would be an obstacle.
 */
export function checkTargetVolume(
  addon: Addon,
  { volume: path, discardJournal, existing, readOnly: looksOnly }: TargetTerms,
  transfer: string,
  mode: Mode | null,
): VolumeFacts {
  const facts = addon.volumeFacts(path);
  if (facts.readOnly && !looksOnly) throw readOnly(path);
  const write = looksOnly ? 0 : constants.W_OK;
  requireAccess(path, "target", constants.R_OK | write | constants.X_OK);
  if (mode === null && looksOnly) return facts;
  if (facts.heldBy !== null) throw inUse(path, facts.heldBy);
  if (mode === "compare") return facts;
  const { unfinishedTransfer, journalError } = facts;
  if (hasJournal(facts) && discardJournal) return facts;
  if (journalError !== null) throw fromNativeError(journalError);
  if (unfinishedTransfer !== null && unfinishedTransfer !== transfer) {
    throw foreign(path, unfinishedTransfer, facts.isFinished, transfer);
  }
  const mayHold = hasJournal(facts) || existing !== "refuse";
  if (facts.firstNames.length > 0 && !mayHold) throw notEmpty(path, facts);
  return facts;
}

/** Of whatever transfer, readable or not. */
export function hasJournal(facts: VolumeFacts): boolean {
  return facts.unfinishedTransfer !== null || facts.journalError !== null;
}

/** Asks the kernel for the real user, which is the effective one in every pod and shell. */
function requireAccess(path: string, side: "source" | "target", mode: number): void {
  try {
    accessSync(path, mode);
  } catch (cause) {
    if (Reflect.get(Object(cause), "code") === "EROFS") throw readOnly(path);
    throw new PvferryError({
      code: 31,
      message: `No permission to ${side === "source" ? "read" : "write to"} the ${side} volume ${escapeText(path)}.`,
      next: "Run as a user who may, or grant this one access to the volume.",
      cause,
    });
  }
}

function readOnly(path: string): PvferryError {
  return new PvferryError({
    code: 31,
    message: `The target volume ${escapeText(path)} is read-only.`,
    next: "Mount it writable, or name another volume; it can be looked at as it is: with pvferry target --read-only, or --dry-run or --mode verify of pvferry copy.",
  });
}

function inUse(path: string, holder: string): PvferryError {
  const message = `The target volume ${escapeText(path)} is in use by another pvferry agent (${holder}).`;
  return fromNativeError({ kind: "busy", message, errno: null });
}

function foreign(path: string, theirs: string, isFinished: boolean, ours: string): PvferryError {
  if (isFinished) return left(path, theirs);
  const message = `The target volume ${escapeText(path)} belongs to the unfinished transfer ${escapeText(theirs)}, not to ${ours}.`;
  return fromNativeError({ kind: "journal", message, errno: null });
}

function left(path: string, theirs: string): PvferryError {
  return new PvferryError({
    code: 35,
    message: `The target volume ${escapeText(path)} holds the finished copy of the transfer ${escapeText(theirs)}, and its .pvferry, which its target could not remove before it ended.`,
    next: "If that copy is to stay, remove its .pvferry, and name another volume here; if not, --discard-journal makes it what the source is.",
  });
}

function notEmpty(path: string, facts: VolumeFacts): PvferryError {
  return new PvferryError({
    code: 31,
    message: `The target volume ${escapeText(path)} is not empty: it holds ${namesText(facts.firstNames)}.`,
    next: "Empty it, name another volume, or say with --existing what becomes of what it holds; --mode verify compares it as it is (a target of its own needs --read-only for that).",
  });
}

const NAMED_MOST = 5;
/** volumeFacts names no more than this, so there may be others. */
const LISTED_MOST = 20;

/** The core has already escaped the names. */
function namesText(names: readonly string[]): string {
  const named = names.slice(0, NAMED_MOST).join(", ");
  const others = names.length - NAMED_MOST;
  if (others <= 0) return named;
  const more = names.length >= LISTED_MOST ? "many others" : quantityText(others, "other");
  return `${named} and ${more}`;
}
