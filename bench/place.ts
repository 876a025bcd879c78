/** Where the benchmark copies: a tmpfs of its own, emptied and warmed in the same way before every run. */
import { execFileSync } from "node:child_process";
import { closeSync, mkdirSync, openSync, readdirSync, rmSync, writeSync } from "node:fs";
import { join } from "node:path";
import process from "node:process";
import { fileURLToPath } from "node:url";

import { makeVolume } from "../test/volume/make-volume.ts";

const OUT = fileURLToPath(new URL("out", import.meta.url));
const BYTES_AT_ONCE = 8 << 20;

export const SETS = {
  a: {
    profile: "big",
    what: "4 files of 1 GB of random bytes",
    bytes: 4_000_000_000,
    files: 4,
    room: "9g",
  },
  b: {
    profile: "small",
    what: "50,000 files in 500 directories, 460 MB",
    bytes: 460_000_000,
    files: 50_000,
    room: "2g",
  },
} as const;

export type SetName = keyof typeof SETS;

export interface Place extends Disposable {
  readonly source: string;
  readonly target: string;
  /** For logs and certificates, on an ordinary file system. */
  readonly folder: string;
  /** Empties the target, then writes as many bytes beside it as will be copied, and takes them away again. */
  readonly prepare: () => void;
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

function empty(directory: string): void {
  for (const name of readdirSync(directory)) rmSync(join(directory, name), { recursive: true });
}

export async function openPlace(set: SetName): Promise<Place> {
  const { profile, bytes, room } = SETS[set];
  const folder = join(OUT, `${process.pid}`);
  const mountPoint = join(folder, "tmpfs");
  mkdirSync(mountPoint, { recursive: true });
  execFileSync("mount", [
    "-t",
    "tmpfs",
    "-o",
    `size=${room},nr_inodes=200k`,
    "pvferry-bench",
    mountPoint,
  ]);
  const close = (): void => {
    execFileSync("umount", ["-l", mountPoint]);
    rmSync(folder, { recursive: true, force: true });
  };
  process.once("exit", close);
  const [source, target] = [join(mountPoint, "source"), join(mountPoint, "target")];
  await makeVolume(source, profile);
  mkdirSync(target);
  return {
    source,
    target,
    folder,
    prepare: () => {
      empty(target);
      warm(join(mountPoint, "warm"), bytes);
    },
    [Symbol.dispose]: () => {
      process.removeListener("exit", close);
      close();
    },
  };
}
