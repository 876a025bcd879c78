/** The volumes that a side is started for, by the names that both sides agree on. */

import { existsSync } from "node:fs";

import type { FlagValues } from "../config/flags.ts";
import { DEFAULTS } from "../config/limits.ts";
import { PvferryError } from "../core/errors.ts";
import { escapeText } from "../core/names.ts";
import { relationOf } from "../host/same-folder.ts";
import { volumeArgument } from "./volume-argument.ts";

export interface OwnVolume {
  readonly name: string;
  /** Absolute. */
  readonly folder: string;
}

type Volumes = FlagValues<"source">["volume"];

/** Throws (2) for anything but one name. */
export function nameOfSource(given: Volumes): string {
  const [first, second] = given;
  if (first === undefined) return DEFAULTS.volumeName;
  if (second !== undefined) {
    throw usage(
      `A source sends one volume, and ${first.where} names more.`,
      "Start one source for each volume; they may have the same target.",
    );
  }
  const { name, folder } = first.value;
  if (folder === null) return name;
  throw usage(
    `${first.where}: a source has its folder from SRC, and only NAME here.`,
    `Say pvferry source ${escapeText(folder)} --volume ${name}.`,
  );
}

/** At least one, in the order in which they were given. Throws (2) for none, for two of one name, and for one in another. */
export function volumesOfTarget(
  argument: string | undefined,
  given: Volumes,
): readonly [OwnVolume, ...OwnVolume[]] {
  if (argument !== undefined || given.length === 0) {
    return [{ name: nameBesideDst(given), folder: volumeArgument(argument, "DST") }];
  }
  const [first, ...others] = given.map(({ where, value: { name, folder } }) => {
    if (folder === null) throw noFolder(where, name);
    return { name, folder: volumeArgument(folder, `${where} ${name}=DIR`) };
  }) as [OwnVolume, ...OwnVolume[]];
  refuseSharing([first, ...others]);
  return [first, ...others];
}

function nameBesideDst([first, second]: Volumes): string {
  if (first === undefined) return DEFAULTS.volumeName;
  if (second === undefined && first.value.folder === null) return first.value.name;
  throw usage(
    `DST is given, and ${first.where} as well.`,
    "Name the volumes by --volume NAME=DIR only, once for each; beside DST only --volume NAME may stand.",
  );
}

/** Two that share a folder would each remove what the other has written. */
function refuseSharing(volumes: readonly OwnVolume[]): void {
  for (const [index, one] of volumes.entries()) {
    for (const other of volumes.slice(index + 1)) {
      if (one.name === other.name) {
        throw usage(`Two volumes are called ${one.name}.`, "Give each a name of its own.");
      }
      if (areRelated(one.folder, other.folder)) {
        throw usage(
          `The volumes ${one.name} and ${other.name} are the same folder, or lie in each other: ${escapeText(one.folder)}, ${escapeText(other.folder)}.`,
          "Name a folder of its own for each.",
        );
      }
    }
  }
}

/** One that is missing is found out with its own volume, and does not stop the other. */
function areRelated(one: string, other: string): boolean {
  return existsSync(one) && existsSync(other) && relationOf(one, other) !== "apart";
}

function noFolder(where: string, name: string): PvferryError {
  return usage(
    `${where}: the folder of the volume ${name} is missing.`,
    `Say --volume ${name}=DIR, where DIR is the folder in which the volume is mounted; with one volume DST may be that.`,
  );
}

function usage(message: string, next: string): PvferryError {
  return new PvferryError({ code: 2, message, next });
}
