/** What is copied while something happens: small files, large ones, links, and holes. */
import { execFileSync } from "node:child_process";
import { rmSync, statSync, utimesSync, writeFileSync } from "node:fs";

import { makeEntries } from "../volume/apply.ts";
import { bulkWriter } from "../volume/bulk.ts";
import { link, symlink } from "../volume/entry.ts";
import { ownIds } from "../volume/plain.ts";
import { randomBytes } from "../volume/random-bytes.ts";

const MIB = 1024 * 1024;

export interface InterruptedSizes {
  readonly smallFiles: number;
  readonly largeFiles: number;
  readonly largeBytes: number;
}

/** All times lie years back, so that none is too young to be trusted. Returns the bytes that have to cross. */
export async function writeInterruptedVolume(
  root: string,
  { smallFiles, largeFiles, largeBytes }: InterruptedSizes,
): Promise<number> {
  const random = randomBytes("interrupted");
  const bulk = bulkWriter(root, ownIds());
  let bytes = 0;
  const write = (path: string, size: number): void => {
    bulk.file(path, size, random.bytes);
    bytes += size;
  };
  for (let index = 0; index < smallFiles; index += 1) {
    write(`small/${Math.floor(index / 100)}/${index}`, random.below(20_000));
  }
  for (let index = 0; index < largeFiles; index += 1) {
    write(`large/${index}`, largeBytes + 77 * index);
    // Between the large ones, so that there is always something of each kind to come.
    write(`middle/${index}`, 3 * MIB + index);
  }
  const offsets = Array.from({ length: 40 }, (_, index) => index * 7 * MIB);
  bulk.sparse("sparse", 300 * MIB, offsets, random.bytes);
  bytes += 65_536 * offsets.length;
  const links = Array.from({ length: 50 }, (_, index) => [
    link(`small/0/again-${index}`, `small/${Math.floor(index / 25)}/${index * 4}`),
    symlink(`small/0/pointer-${index}`, `../${index}`, ownIds()),
  ]);
  await makeEntries(root, [
    ...bulk.entries(),
    ...links.flat().filter(({ content }) => content.type !== "link" || smallFiles > 200),
    link("large/again", "large/0"),
  ]);
  return bytes;
}

const DAY_S = 86_400;

/**
 * What an application may have done to it since: files rewritten, some with another size, others new, others gone. All
 * times lie years back still. Returns the bytes of the files that differ.
 */
export function workOnInterruptedVolume(root: string): number {
  const random = randomBytes("worked on");
  let bytes = 0;
  const write = (path: string, size: number, mtime: number): void => {
    writeFileSync(path, random.bytes(size));
    utimesSync(path, mtime, mtime);
    bytes += size;
  };
  const found = execFileSync("find", [root, "-type", "f", "!", "-name", "sparse"], {
    encoding: "utf8",
  });
  for (const path of found.split("\n").filter(Boolean).toSorted()) {
    const stat = statSync(path);
    const fate = random.below(20);
    const mtime = Math.floor(stat.mtimeMs / 1000) + DAY_S;
    if (fate === 0 && stat.nlink === 1) rmSync(path);
    else if (fate < 6) write(path, stat.size, mtime);
    else if (fate === 6) write(path, stat.size + random.below(9000), mtime);
    else if (fate === 7) write(`${path}-new`, random.below(20_000), mtime);
  }
  return bytes;
}
