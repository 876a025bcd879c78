/** Where the benchmark copies: a file system of its own, brought into the same state in the same way before every run. */
import { execFileSync } from "node:child_process";
import {
  closeSync,
  mkdirSync,
  openSync,
  readdirSync,
  rmSync,
  statfsSync,
  writeSync,
} from "node:fs";
import { join } from "node:path";
import process from "node:process";
import { fileURLToPath } from "node:url";

import { mountFilesystem, type Bed, type FilesystemKind } from "../test/bed/filesystem.ts";
import type { BenchSet } from "./sets/set.ts";

const OUT = fileURLToPath(new URL("out", import.meta.url));
const BYTES_AT_ONCE = 8 << 20;
/** For a file system's own structures. */
const FILESYSTEM_MIB = 500;

export interface Place extends Disposable {
  readonly source: string;
  readonly target: string;
  /** For logs and certificates, on an ordinary file system. */
  readonly folder: string;
  /**
   * Brings the target back to what it is before a run, into the page cache too, having written as many bytes beside it as
   * will be copied, and taken them away again.
   */
  readonly prepare: () => void;
  /** What the file system holds, bytes. */
  readonly used: () => number;
}

/**
 * A virtual machine gets each page from its host when it first writes to it, which is several times dearer than a page
 * that it has had before. Writing and freeing as much as will be copied makes sure that either contender gets pages of
 * the second kind.
 */
function warm(file: string, bytes: number): void {
  const block = Buffer.alloc(BYTES_AT_ONCE, 1);
  const descriptor = openSync(file, "w");
  for (let written = 0; written < bytes; written += BYTES_AT_ONCE) writeSync(descriptor, block);
  closeSync(descriptor);
  rmSync(file);
}

/**
 * A file that was written lately is in the page cache, a clone only as far as somebody has read it: either contender finds
 * what the other one has left, whichever way that was made.
 */
function readAll(directory: string): void {
  const script = 'find "$1" -type f -exec cat {} + > /dev/null';
  execFileSync("sh", ["-c", script, "sh", directory]);
}

function empty(directory: string): void {
  for (const name of readdirSync(directory)) rmSync(join(directory, name), { recursive: true });
}

function mountPlace(kind: FilesystemKind, { room, inodes }: BenchSet): Bed {
  const mebibytes = Math.ceil(room / 2 ** 20);
  return kind === "tmpfs"
    ? mountFilesystem({ kind, mebibytes, mountOptions: `nr_inodes=${inodes}` })
    : mountFilesystem({ kind, mebibytes: mebibytes + FILESYSTEM_MIB });
}

export async function openPlace(set: BenchSet, kind: FilesystemKind): Promise<Place> {
  const folder = join(OUT, `${process.pid}`);
  mkdirSync(folder, { recursive: true });
  const bed = mountPlace(kind, set);
  const mountPoint = bed.path;
  const close = (): void => {
    bed[Symbol.dispose]();
    rmSync(folder, { recursive: true, force: true });
  };
  process.once("exit", close);
  const [source, target, spare] = ["source", "target", "spare"].map((name) => {
    const made = join(mountPoint, name);
    mkdirSync(made);
    return made;
  }) as [string, string, string];
  await set.write(source);
  set.earlier?.make(source, target);
  set.earlier?.change(source, spare);
  return {
    source,
    target,
    folder,
    prepare: () => {
      if (set.earlier === undefined) empty(target);
      else set.earlier.restore(target, spare);
      warm(join(mountPoint, "warm"), set.written);
      // What making this state has left to be written back is nobody's.
      execFileSync("sync", ["-f", mountPoint]);
      if (kind !== "tmpfs") readAll(target);
    },
    used: () => {
      const { blocks, bfree, bsize } = statfsSync(mountPoint);
      return (blocks - bfree) * bsize;
    },
    [Symbol.dispose]: () => {
      process.removeListener("exit", close);
      close();
    },
  };
}
