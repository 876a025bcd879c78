/** A volume of tiny files, 100 in a directory, and the same with 1 % of them written anew. */
import { execFileSync } from "node:child_process";
import {
  closeSync,
  futimesSync,
  mkdirSync,
  openSync,
  utimesSync,
  writeSync,
  type PathLike,
} from "node:fs";
import { join } from "node:path";

import { randomBytes, type RandomBytes } from "../../test/volume/random-bytes.ts";
import type { Earlier } from "./set.ts";

/** No file is this long, bytes. */
export const TINY_BELOW = 900;
const IN_A_DIRECTORY = 100;
/** Seconds since 1970 of the first file; the others follow by one each. */
const WRITTEN = 1_600_000_000;
const CHANGED_AT = 1_700_000_000;

function directoryPath(index: number): string {
  return `directory-${String(index).padStart(4, "0")}`;
}

function path(index: number): string {
  const directory = directoryPath(Math.floor(index / IN_A_DIRECTORY));
  return `${directory}/file-${String(index).padStart(6, "0")}`;
}

function writeFile(file: PathLike, time: number, random: RandomBytes): void {
  const descriptor = openSync(file, "w", 0o644);
  writeSync(descriptor, random.bytes(random.below(TINY_BELOW)));
  futimesSync(descriptor, time, time);
  closeSync(descriptor);
}

export function writeTinyFiles(source: string, files: number): void {
  const random = randomBytes("tiny");
  const directories = Array.from({ length: files / IN_A_DIRECTORY }, (_, index) =>
    join(source, directoryPath(index)),
  );
  for (const directory of directories) mkdirSync(directory);
  for (let index = 0; index < files; index++) {
    writeFile(join(source, path(index)), WRITTEN + index, random);
  }
  for (const directory of directories) utimesSync(directory, WRITTEN, WRITTEN);
}

export function copyAside(source: string, target: string): void {
  execFileSync("cp", ["-a", `${source}/.`, target]);
}

function changedPaths(files: number): string[] {
  const random = randomBytes("changed tiny files");
  const chosen = new Set<number>();
  while (chosen.size < files / 100) chosen.add(random.below(files));
  return [...chosen].map(path);
}

export const NOTHING_CHANGED: Earlier = {
  make: copyAside,
  change: () => undefined,
  restore: () => undefined,
};

/** The changed files are written in place, so that neither their directories nor anything else shows it. */
export function onePercentChanged(files: number): Earlier {
  return {
    make: copyAside,
    change: (source, spare) => {
      const paths = changedPaths(files);
      execFileSync("cp", ["-a", "--parents", ...paths, spare], { cwd: source });
      execFileSync("touch", ["--reference", source, spare]);
      const random = randomBytes("tiny, later");
      paths.forEach((changed, index) => {
        writeFile(join(source, changed), CHANGED_AT + index, random);
      });
    },
    restore: (target, spare) => copyAside(spare, target),
  };
}
