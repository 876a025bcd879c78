/**
 * File systems for tests: loop-backed ext4, xfs and btrfs, and tmpfs. They live under test/out/beds/<pid>-<n>, are
 * unmounted when disposed and again when the process exits, and those of dead processes are swept by the next one.
 */
import { execFileSync } from "node:child_process";
import {
  existsSync,
  mkdirSync,
  readdirSync,
  rmSync,
  statSync,
  truncateSync,
  writeFileSync,
} from "node:fs";
import { join } from "node:path";
import process from "node:process";
import { fileURLToPath } from "node:url";

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
  remount: (options: string) => void;
  /** Writes everything back and forgets it, so that the next read comes from the device. */
  dropCaches: () => void;
  /** Makes the device end early: reading what lay beyond fails with EIO. Not for tmpfs. */
  truncateDevice: (mebibytes: number) => void;
}

const BEDS = fileURLToPath(new URL("../out/beds", import.meta.url));
const MAKERS: { readonly [kind in Exclude<FilesystemKind, "tmpfs">]: readonly string[] } = {
  // Small images would get blocks of 1 KiB, and with them smaller files and attributes.
  ext4: ["mkfs.ext4", "-q", "-F", "-b", "4096"],
  xfs: ["mkfs.xfs", "-q", "-f"],
  btrfs: ["mkfs.btrfs", "-q", "-f"],
};

const mounted = new Set<string>();
let count = 0;

function run(command: string, ...args: string[]): void {
  execFileSync(command, args, { stdio: ["ignore", "ignore", "pipe"] });
}

/** Lazily, so that nothing that is still open can keep a mount after the tests. */
function unmount(path: string): void {
  try {
    run("umount", "-R", "-l", path);
  } catch {
    // It was not mounted, or somebody was faster.
  }
}

function isMounted(path: string): boolean {
  return statSync(path).dev !== statSync(join(path, "..")).dev;
}

function discard(folder: string): void {
  const path = join(folder, "volume");
  for (let tries = 0; existsSync(path) && isMounted(path) && tries < 5; tries++) unmount(path);
  if (existsSync(path) && isMounted(path)) throw new Error(`${path} cannot be unmounted`);
  rmSync(folder, { recursive: true, force: true });
  mounted.delete(folder);
}

function isAlive(pid: number): boolean {
  try {
    process.kill(pid, 0);
    return true;
  } catch {
    return false;
  }
}

function sweepDeadBeds(): void {
  for (const name of readdirSync(BEDS)) {
    if (!isAlive(Number.parseInt(name, 10))) discard(join(BEDS, name));
  }
}

function newFolder(): string {
  mkdirSync(BEDS, { recursive: true });
  if (count === 0) {
    sweepDeadBeds();
    process.on("exit", () => [...mounted].forEach(discard));
  }
  count++;
  const folder = join(BEDS, `${process.pid}-${count}`);
  mkdirSync(join(folder, "volume"), { recursive: true });
  mounted.add(folder);
  return folder;
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
  writeFileSync(image, "");
  truncateSync(image, mebibytes * 1024 * 1024);
  const [maker = "", ...flags] = MAKERS[kind];
  run(maker, ...flags, ...mkfsOptions, image);
  run("mount", "-o", `loop,${mountOptions}`, image, path);
}

/** A fresh file system, mounted. Needs root. */
export function mountFilesystem(options: BedOptions): Bed {
  const folder = newFolder();
  mountDevice(folder, options);
  const path = join(folder, "volume");
  return {
    path,
    remount: (flags) => run("mount", "-o", `remount,${flags}`, path),
    dropCaches: () => {
      run("sync");
      writeFileSync("/proc/sys/vm/drop_caches", "3");
    },
    truncateDevice: (mebibytes) => truncateSync(join(folder, "image"), mebibytes * 1024 * 1024),
    [Symbol.dispose]: () => discard(folder),
  };
}
