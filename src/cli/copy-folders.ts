/** The two folders of a copy: checked against each other, and the target's made when it is missing. */

import { existsSync, mkdirSync, rmdirSync, statSync } from "node:fs";
import path from "node:path";

import { PvferryError } from "../core/errors.ts";
import { escapeText } from "../core/names.ts";
import { causeWords, errnoOf } from "../core/system-errors.ts";
import { relationOf, type Relation } from "../host/same-folder.ts";
import { realFolder } from "./volume-argument.ts";

export interface CopyFolders {
  /** Resolved, so that a copy started again through another link is the same copy. */
  readonly source: string;
  readonly target: string;
  /** Takes back what was made here, as long as nothing is in it. */
  readonly removeMadeIfEmpty: () => void;
}

/**
 * Throws 31 for folders that cannot be used and 2 for two that lie in each other; by then nothing is made. Which file
 * system either one is on does not matter here.
 */
export function prepareCopyFolders(source: string, target: string): CopyFolders {
  requireFolder(source, "SRC");
  const existing = nearestExisting(target);
  // Before anything is made, and before the two are compared by name.
  realFolder(source, "SRC");
  realFolder(existing, "DST");
  refuseRelated(source, target, existing);
  const made = makeMissing(target);
  requireFolder(target, "DST");
  return {
    source: realFolder(source, "SRC"),
    target: realFolder(target, "DST"),
    removeMadeIfEmpty: () => removeMade(made),
  };
}

export function requireFolder(folder: string, placeholder: "SRC" | "DST"): void {
  try {
    if (statSync(folder).isDirectory()) return;
  } catch (cause) {
    const missing = errnoOf(cause) === "ENOENT";
    throw volumeError(
      `${placeholder}: ${escapeText(folder)} ${missing ? "does not exist" : `cannot be reached: ${causeWords(cause)}`}.`,
      cause,
    );
  }
  throw volumeError(`${placeholder}: ${escapeText(folder)} is not a directory.`);
}

function volumeError(message: string, cause?: unknown): PvferryError {
  return new PvferryError({
    code: 31,
    message,
    next: "Name the folder where the volume is mounted.",
    cause,
  });
}

/** Where a folder that is missing would be made. */
function nearestExisting(folder: string): string {
  let at = folder;
  while (!existsSync(at) && at !== path.dirname(at)) at = path.dirname(at);
  return at;
}

function refuseRelated(source: string, target: string, existing: string): void {
  const words = relatedWords(relationOf(source, existing), existing === target);
  if (words === null) return;
  throw new PvferryError({
    code: 2,
    message: `SRC ${escapeText(source)} and DST ${escapeText(target)}: ${words}.`,
    next: "Name two folders of which neither lies inside the other.",
  });
}

/** A target that does not exist yet lies inside of whatever its nearest existing folder is or lies in. */
function relatedWords(relation: Relation, targetExists: boolean): string | null {
  if (relation === "second-inside-first") return "DST lies inside SRC";
  if (relation === "same") return targetExists ? "they are the same folder" : "DST lies inside SRC";
  return relation === "first-inside-second" && targetExists ? "SRC lies inside DST" : null;
}

/** The folders that had to be made, the uppermost first. */
function makeMissing(target: string): readonly string[] {
  const made: string[] = [];
  try {
    // Not mkdir's own recursion: that never ends where a folder takes no new ones (/proc).
    for (const folder of missingFolders(target)) {
      // Nobody but us looks in until the volume's own mode is put on it.
      mkdirSync(folder, { mode: 0o700 });
      made.push(folder);
    }
    return made;
  } catch (cause) {
    removeMade(made);
    throw volumeError(`DST: ${escapeText(target)} cannot be made: ${causeWords(cause)}.`, cause);
  }
}

function missingFolders(target: string): readonly string[] {
  const missing: string[] = [];
  for (let at = target; !existsSync(at); at = path.dirname(at)) missing.unshift(at);
  return missing;
}

function removeMade(made: readonly string[]): void {
  try {
    for (const folder of made.toReversed()) rmdirSync(folder);
  } catch {
    // Not empty: it holds what a later run takes up.
  }
}
