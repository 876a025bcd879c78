/** File systems for tests: loop-backed ext4, xfs and btrfs, and tmpfs. */
import { mkdirSync, truncateSync, writeFileSync } from "node:fs";
import { join } from "node:path";

import { bedFolder, discardBed, run } from "./bed-folder.ts";

export const FILESYSTEMS = ["ext4", "xfs", "btrfs", "tmpfs"] as const;
export type FilesystemKind = (typeof FILESYSTEMS)[number];

export interface BedOptions {
  readonly kind: FilesystemKind;
  /** Default: 400 MiB, which is enough for an xfs and for the volume of every kind. */
  readonly mebibytes?: number;
  /** As mount -o takes them. */
  readonly mountOptions?: string;
  readonly mkfsOptions?: readonly string[];
}

export interface Bed extends Disposable {
  /** Where it is mounted: an empty directory, but for a lost+found on ext4. */
  readonly path: string;
  /** The file behind it; not for tmpfs. */
  readonly image: string;
  remount: (options: string) => void;
  /** Writes everything back and forgets it, so that the next read comes from the device. */
  dropCaches: () => void;
  /** Makes the device end early: reading what lay beyond fails with EIO. Not for tmpfs. */
  truncateDevice: (mebibytes: number) => void;
}

const MAKERS: { readonly [kind in Exclude<FilesystemKind, "tmpfs">]: readonly string[] } = {
  // Small images would get blocks of 1 KiB, and with them smaller files and attributes.
  ext4: ["mkfs.ext4", "-q", "-F", "-b", "4096"],
  xfs: ["mkfs.xfs", "-q", "-f"],
  btrfs: ["mkfs.btrfs", "-q", "-f"],
};

/** A file that holds an empty file system of a kind. */
export function makeImage(
  image: string,
  kind: Exclude<FilesystemKind, "tmpfs">,
  mebibytes: number,
  mkfsOptions: readonly string[] = [],
): void {
  writeFileSync(image, "");
  truncateSync(image, mebibytes * 1024 * 1024);
  const [maker = "", ...flags] = MAKERS[kind];
  run(maker, ...flags, ...mkfsOptions, image);
}

function mountDevice(folder: string, options: BedOptions): void {
  const { kind, mebibytes = 400, mountOptions = "defaults", mkfsOptions = [] } = options;
  const path = join(folder, "volume");
  if (kind === "tmpfs") {
    run(
      "mount",
      "-t",
      "tmpfs",
      "-o",
      `size=${mebibytes}m,mode=755,${mountOptions}`,
      "pvferry-bed",
      path,
    );
    return;
  }
  const image = join(folder, "image");
  makeImage(image, kind, mebibytes, mkfsOptions);
  run("mount", "-o", `loop,${mountOptions}`, image, path);
}

/** A fresh file system, mounted. Needs root. */
export function mountFilesystem(options: BedOptions): Bed {
  const folder = bedFolder();
  mkdirSync(join(folder, "volume"));
  mountDevice(folder, options);
  const path = join(folder, "volume");
  return {
    path,
    image: join(folder, "image"),
    remount: (flags) => run("mount", "-o", `remount,${flags}`, path),
    dropCaches: () => {
      run("sync");
      writeFileSync("/proc/sys/vm/drop_caches", "3");
    },
    truncateDevice: (mebibytes) => truncateSync(join(folder, "image"), mebibytes * 1024 * 1024),
    [Symbol.dispose]: () => discardBed(folder),
  };
}
