/** A volume of one large file, and what may have happened to it since it was copied. */
import { closeSync, ftruncateSync, futimesSync, openSync, readSync, writeSync } from "node:fs";
import { join } from "node:path";

import { randomBytes } from "../../test/volume/random-bytes.ts";
import type { Earlier } from "./set.ts";
import { copyAside } from "./tiny-files.ts";

const NAME = "image";
const BLOCK = 4096;
const AT_ONCE = 1 << 20;
const [WRITTEN, CHANGED_AT] = [1_600_000_000, 1_700_000_000];

function changing<T>(file: string, mode: "w" | "r+", time: number, change: (fd: number) => T): T {
  const descriptor = openSync(file, mode);
  try {
    const result = change(descriptor);
    futimesSync(descriptor, time, time);
    return result;
  } finally {
    closeSync(descriptor);
  }
}

function append(descriptor: number, from: number, bytes: number, seed: string): void {
  const random = randomBytes(seed);
  for (let done = 0; done < bytes; done += AT_ONCE) {
    const length = Math.min(AT_ONCE, bytes - done);
    writeSync(descriptor, random.bytes(length), 0, length, from + done);
  }
}

export function writeOneFile(source: string, bytes: number): void {
  changing(join(source, NAME), "w", WRITTEN, (descriptor) => append(descriptor, 0, bytes, "image"));
}

/** Which blocks of a file of this size change: 1 % of them, in ascending order. */
function changedBlocks(bytes: number): number[] {
  const blocks = Math.floor(bytes / BLOCK);
  const random = randomBytes("changed blocks");
  const chosen = new Set<number>();
  while (chosen.size < blocks / 100) chosen.add(random.below(blocks));
  return [...chosen].toSorted((a, b) => a - b);
}

export function blocksOverwritten(bytes: number): Earlier {
  const blocks = changedBlocks(bytes);
  const buffer = Buffer.alloc(BLOCK);
  const copyBlock = (from: number, at: number, to: number, there: number): void => {
    readSync(from, buffer, 0, BLOCK, at);
    writeSync(to, buffer, 0, BLOCK, there);
  };
  return {
    make: copyAside,
    change: (source, spare) => {
      const random = randomBytes("new blocks");
      const kept = openSync(join(spare, "blocks"), "w");
      changing(join(source, NAME), "r+", CHANGED_AT, (descriptor) => {
        blocks.forEach((block, place) => {
          copyBlock(descriptor, block * BLOCK, kept, place * BLOCK);
          writeSync(descriptor, random.bytes(BLOCK), 0, BLOCK, block * BLOCK);
        });
      });
      closeSync(kept);
    },
    restore: (target, spare) => {
      const kept = openSync(join(spare, "blocks"), "r");
      changing(join(target, NAME), "r+", WRITTEN, (descriptor) => {
        blocks.forEach((block, place) => {
          copyBlock(kept, place * BLOCK, descriptor, block * BLOCK);
        });
      });
      closeSync(kept);
    },
  };
}

export function bytesAppended(before: number, more: number): Earlier {
  return {
    make: copyAside,
    change: (source) => {
      changing(join(source, NAME), "r+", CHANGED_AT, (descriptor) => {
        append(descriptor, before, more, "appended");
      });
    },
    restore: (target) => {
      changing(join(target, NAME), "r+", WRITTEN, (descriptor) => {
        ftruncateSync(descriptor, before);
      });
    },
  };
}
