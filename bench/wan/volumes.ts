/** What is copied over a long path. All of it is random: nothing gets shorter on the way. */
import { closeSync, mkdirSync, openSync, writeFileSync, writeSync } from "node:fs";
import { join } from "node:path";

import { randomBytes } from "../../test/volume/random-bytes.ts";

const MB = 1_000_000;

export interface WanVolume {
  readonly what: string;
  readonly files: number;
  readonly bytes: number;
  readonly write: (folder: string) => void;
}

const SMALL = { files: 5_000, inADirectory: 100, medianBytes: 4_096, sigma: 0.98 } as const;

function sizesOfSmall(): readonly number[] {
  const random = randomBytes("sizes of small files");
  return Array.from({ length: SMALL.files }, () =>
    Math.round(random.logNormal(SMALL.medianBytes, SMALL.sigma)),
  );
}

function writeSmall(folder: string): void {
  const random = randomBytes("small files");
  sizesOfSmall().forEach((size, index) => {
    const directory = join(folder, `directory-${Math.floor(index / SMALL.inADirectory)}`);
    if (index % SMALL.inADirectory === 0) mkdirSync(directory);
    writeFileSync(join(directory, `file-${index}`), random.bytes(size));
  });
}

function oneFile(bytes: number, what: string): WanVolume {
  const write = (folder: string): void => {
    const random = randomBytes("one file");
    const descriptor = openSync(join(folder, "image"), "w");
    for (let left = bytes; left > 0; left -= MB) {
      writeSync(descriptor, random.bytes(Math.min(left, MB)));
    }
    closeSync(descriptor);
  };
  return { what, files: 1, bytes, write };
}

const SMALL_BYTES = sizesOfSmall().reduce((sum, size) => sum + size, 0);

export const VOLUMES = {
  file: oneFile(200 * MB, "one file of 200 MB"),
  longer: oneFile(1_000 * MB, "one file of 1 GB"),
  shorter: oneFile(25 * MB, "one file of 25 MB"),
  small: {
    what: `5,000 files, ${Math.round(SMALL_BYTES / MB)} MB`,
    files: SMALL.files,
    bytes: SMALL_BYTES,
    write: writeSmall,
  },
  same: oneFile(SMALL_BYTES, "the same bytes in one file"),
} as const satisfies { readonly [name: string]: WanVolume };

export type VolumeName = keyof typeof VOLUMES;

export function volumeNamed(name: string): VolumeName {
  const found = (Object.keys(VOLUMES) as VolumeName[]).find((known) => known === name);
  if (found !== undefined) return found;
  throw new Error(`There is no volume ${name}; there are ${Object.keys(VOLUMES).join(", ")}.`);
}
