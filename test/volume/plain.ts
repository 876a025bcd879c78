/** Ordinary trees that any user can make: for tests of the way, not of what is kept. */
import process from "node:process";

import { makeEntries } from "./apply.ts";
import { bulkWriter } from "./bulk.ts";
import type { Metadata } from "./entry.ts";
import { randomBytes } from "./random-bytes.ts";

export interface PlainSizes {
  readonly largeFiles: number;
  readonly largeBytes: number;
  readonly smallFiles: number;
}

export function ownIds(): Pick<Metadata, "uid" | "gid"> {
  return { uid: process.getuid?.() ?? 0, gid: process.getgid?.() ?? 0 };
}

/** Random bytes that do not shrink; small files of up to 20 KB in directories of a hundred. */
export async function writePlainTree(
  root: string,
  sizes: PlainSizes,
  seed = "plain",
): Promise<void> {
  const random = randomBytes(seed);
  const bulk = bulkWriter(root, ownIds());
  for (let index = 0; index < sizes.largeFiles; index++) {
    bulk.file(`large/${index}`, sizes.largeBytes + index, random.bytes);
  }
  for (let index = 0; index < sizes.smallFiles; index++) {
    bulk.file(`small/${Math.floor(index / 100)}/${index}`, random.below(20_000), random.bytes);
  }
  await makeEntries(root, bulk.entries());
}
