/** Volumes that are large in one way each. */
import { closeSync, ftruncateSync, mkdirSync, openSync, writeSync } from "node:fs";
import { join } from "node:path";

import { randomBytes } from "../test/volume/random-bytes.ts";

const KIB = 1024;
const GIB = 1024 ** 3;

export interface SoakVolume {
  readonly what: string;
  readonly write: (directory: string) => void;
  /** What the receipt has to say. */
  readonly entries: { readonly files: number; readonly directories: number };
}

function emptyFiles(directory: string, count: number): void {
  for (let index = 0; index < count; index++) {
    closeSync(openSync(join(directory, `file-${index}`), "w"));
  }
}

/** 4 KiB of data in every 64: a sixteenth of the size, in as many extents as 64 KiB steps. */
function writeComb(file: string, size: number, random: (length: number) => Buffer): void {
  const descriptor = openSync(file, "w");
  ftruncateSync(descriptor, size);
  for (let offset = 0; offset < size; offset += 64 * KIB) {
    writeSync(descriptor, random(4 * KIB), 0, 4 * KIB, offset);
  }
  closeSync(descriptor);
}

export const SOAK_VOLUMES: { readonly [name: string]: SoakVolume } = {
  "empty-files": {
    what: "2,000,000 empty files in 2,000 directories",
    entries: { files: 2_000_000, directories: 2000 },
    write: (directory) => {
      for (let index = 0; index < 2000; index++) {
        const below = join(directory, `directory-${index}`);
        mkdirSync(below);
        emptyFiles(below, 1000);
      }
    },
  },
  "one-directory": {
    what: "1,000,000 empty files in one directory",
    entries: { files: 1_000_000, directories: 1 },
    write: (directory) => {
      mkdirSync(join(directory, "only"));
      emptyFiles(join(directory, "only"), 1_000_000);
    },
  },
  "two-million-in-one": {
    what: "2,000,000 empty files in one directory",
    entries: { files: 2_000_000, directories: 1 },
    write: (directory) => {
      mkdirSync(join(directory, "only"));
      emptyFiles(join(directory, "only"), 2_000_000);
    },
  },
  sparse: {
    what: "5 sparse files of 4 GiB with 4 KiB of data in every 64 KiB, 327,680 extents",
    entries: { files: 5, directories: 0 },
    write: (directory) => {
      const random = randomBytes("soak");
      for (let index = 0; index < 5; index++) {
        writeComb(join(directory, `disk-${index}`), 4 * GIB, random.bytes);
      }
    },
  },
};
