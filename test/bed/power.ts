/**
 * A volume whose power can be cut. Its disk is a file on an XFS, and a cut is a reflink copy of that file (FICLONE), which
 * the kernel makes while nothing writes to it: whatever had not reached the disk is not in the copy. Mounting the copy
 * replays the file system's log, as after a power failure.
 *
 * The disk either has no cache, and holds all that the volume's file system has ever sent it, or has one that a power
 * failure empties. The latter is a loop device over a file of another file system, on the disk: writes stay in the page
 * cache until the volume's file system has them flushed, or the kernel does as it likes.
 */
import { mkdirSync } from "node:fs";
import { join } from "node:path";

import { bedFolder, discardBed, run } from "./bed-folder.ts";
import { makeImage, type FilesystemKind } from "./filesystem.ts";

export type DiskCache = "none" | "lost";

export interface PowerOptions {
  readonly kind: Exclude<FilesystemKind, "tmpfs">;
  readonly cache: DiskCache;
  readonly mebibytes: number;
}

export interface PoweredVolume extends Disposable {
  /** Where it is mounted. */
  readonly path: string;
  /** Cuts the power for the copy that the returned function mounts, until that is disposed; the volume itself goes on. */
  readonly cut: () => PowerCut;
  /** Unmounts the volume: two file systems with one UUID do not go together. */
  readonly unmount: () => void;
}

/** Mounts what a power failure has left. */
export type PowerCut = () => { readonly path: string } & Disposable;

/** Of what is on its disk besides. */
const OVERHEAD_MIB = 300;

interface Places {
  readonly disk: string;
  /** Where the file system with the cache is mounted, if there is one. */
  readonly cache: string | null;
  readonly volume: string;
}

/** Mounts a disk, past the page cache of what is beneath; the loop device goes with the mount. */
function mountDisk(image: string, path: string): void {
  const how = ["--direct-io=on", "--sector-size", "4096"];
  const device = run("losetup", "--find", "--show", ...how, image).trim();
  try {
    run("mount", device, path);
  } finally {
    run("losetup", "--detach", device);
  }
}

function mountAll({ disk, cache, volume }: Places): void {
  mkdirSync(volume, { recursive: true });
  if (cache === null) return mountDisk(disk, volume);
  mkdirSync(cache, { recursive: true });
  mountDisk(disk, cache);
  run("mount", "-o", "loop", join(cache, "disk"), volume);
}

/** What the loop device still has to write may be much, on a disk that others write to as well. */
const BUSY_MS = 60_000;
const TRY_EVERY_MS = 100;

/** Not lazily: what it holds is to be on the disk. A loop device that was mounted from it lets go of its file a moment later. */
function unmount(path: string): void {
  const until = Date.now() + BUSY_MS;
  for (;;) {
    try {
      run("umount", path);
      return;
    } catch (error) {
      if (!String(error).includes("busy") || Date.now() > until) throw error;
      Atomics.wait(new Int32Array(new SharedArrayBuffer(4)), 0, 0, TRY_EVERY_MS);
    }
  }
}

function unmountAll({ cache, volume }: Places): void {
  for (const path of [volume, ...(cache === null ? [] : [cache])]) unmount(path);
}

/** For a disk of 4096 bytes a sector, which a copied file of an XFS needs when it is not to pass the page cache. */
function makeDisk({ kind, cache, mebibytes }: PowerOptions, places: Places): void {
  const sectors = kind === "xfs" ? ["-s", "size=4096"] : [];
  if (cache === "none") return makeImage(places.disk, kind, mebibytes, sectors);
  makeImage(places.disk, "ext4", mebibytes + OVERHEAD_MIB);
  mkdirSync(places.cache ?? "");
  mountDisk(places.disk, places.cache ?? "");
  makeImage(join(places.cache ?? "", "disk"), kind, mebibytes, sectors);
  run("umount", places.cache ?? "");
}

/** Needs root, mkfs.xfs and what makes a file system of the kind. */
export function poweredVolume(options: PowerOptions): PoweredVolume {
  const folder = bedFolder();
  const at = (name: string): string => join(folder, name);
  // Sparse: it takes what is written, however many cuts there are.
  makeImage(at("image"), "xfs", 20 * (options.mebibytes + OVERHEAD_MIB));
  mkdirSync(at("xfs"));
  run("mount", "-o", "loop", at("image"), at("xfs"));
  const places = (name: string): Places => ({
    disk: join(at("xfs"), name),
    cache: options.cache === "none" ? null : at(`cache-${name}`),
    volume: at(name),
  });
  const own = places("volume");
  makeDisk(options, own);
  mountAll(own);
  let cuts = 0;
  return {
    path: own.volume,
    cut: () => {
      cuts += 1;
      const copy = places(`cut-${cuts}`);
      run("cp", "--reflink=always", own.disk, copy.disk);
      return () => {
        mountAll(copy);
        return { path: copy.volume, [Symbol.dispose]: () => unmountAll(copy) };
      };
    },
    unmount: () => unmountAll(own),
    [Symbol.dispose]: () => discardBed(folder),
  };
}
