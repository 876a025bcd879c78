/** Random changes to a tree of files, such as applications make between two passes; the same for the same seed. */
import { execFileSync } from "node:child_process";
import {
  chmodSync,
  existsSync,
  linkSync,
  lstatSync,
  mkdirSync,
  openSync,
  closeSync,
  renameSync,
  rmSync,
  symlinkSync,
  truncateSync,
  utimesSync,
  writeFileSync,
  writeSync,
} from "node:fs";

import { randomBytes, type RandomBytes } from "./random-bytes.ts";

const KIB = 1024;
const DIRECTORIES = ["", "a", "a/b", "c"];

interface Place {
  readonly root: string;
  readonly random: RandomBytes;
  /** Names that end up in one of the directories, some of them taken. */
  readonly path: () => string;
}

type Change = (place: Place) => void;

/** Sizes on both sides of what travels in packs. */
function data({ random }: Place): Buffer {
  const sizes = [0, 10, 5 * KIB, 200 * KIB, 700 * KIB, 1_300 * KIB];
  return random.bytes((sizes[random.below(sizes.length)] ?? 0) + random.below(5));
}

function kindOf(path: string): "none" | "file" | "directory" | "other" {
  const stat = lstatSync(path, { throwIfNoEntry: false });
  if (stat === undefined) return "none";
  if (stat.isFile()) return "file";
  return stat.isDirectory() ? "directory" : "other";
}

const CHANGES: readonly Change[] = [
  (place) => {
    const path = place.path();
    rmSync(path, { recursive: true, force: true });
    writeFileSync(path, data(place));
  },
  ({ path }) => rmSync(path(), { recursive: true, force: true }),
  ({ path }) => {
    const [from, to] = [path(), path()];
    if (kindOf(from) === "none" || to.startsWith(`${from}/`) || from === to) return;
    rmSync(to, { recursive: true, force: true });
    if (existsSync(from)) renameSync(from, to);
  },
  ({ path, random }) => {
    const target = path();
    rmSync(target, { recursive: true, force: true });
    symlinkSync(`somewhere-${random.below(9)}`, target);
  },
  ({ path }) => {
    const target = path();
    rmSync(target, { recursive: true, force: true });
    execFileSync("mkfifo", [target]);
  },
  ({ path, random }) => {
    const target = path();
    rmSync(target, { recursive: true, force: true });
    mkdirSync(`${target}/deeper`, { recursive: true });
    writeFileSync(`${target}/deeper/file`, random.bytes(random.below(3_000)));
  },
  ({ path, random }) => {
    const target = path();
    if (kindOf(target) === "file") truncateSync(target, random.below(900 * KIB));
  },
  (place) => {
    const target = place.path();
    if (kindOf(target) === "file") writeFileSync(target, data(place), { flag: "a" });
  },
  // Bytes within, so that the size stays.
  ({ path, random }) => {
    const target = path();
    const size = lstatSync(target, { throwIfNoEntry: false })?.size ?? 0;
    if (kindOf(target) !== "file" || size < 20) return;
    const file = openSync(target, "r+");
    writeSync(file, random.bytes(16), 0, 16, random.below(size - 16));
    closeSync(file);
  },
  // The same with the time put back: only the bytes tell. New files are young enough not to be trusted by their time.
  ({ path, random }) => {
    const target = path();
    const stat = lstatSync(target, { throwIfNoEntry: false });
    if (stat === undefined || !stat.isFile() || stat.size < 20) return;
    const file = openSync(target, "r+");
    writeSync(file, random.bytes(16), 0, 16, random.below(stat.size - 16));
    closeSync(file);
    utimesSync(target, stat.atime, stat.mtime);
  },
  ({ path, random }) => {
    const target = path();
    const kind = kindOf(target);
    if (kind === "file" || kind === "directory") chmodSync(target, 0o700 + random.below(0o100));
  },
  ({ path, random }) => {
    const target = path();
    if (kindOf(target) !== "file") return;
    execFileSync("setfattr", ["-n", "user.round", "-v", `${random.below(100)}`, target]);
  },
  ({ path, random }) => {
    const target = path();
    if (kindOf(target) !== "file") return;
    execFileSync("setfacl", ["-m", `u:${random.below(5_000)}:r`, target]);
  },
  ({ path }) => {
    const [from, to] = [path(), path()];
    if (kindOf(from) !== "file" || kindOf(to) !== "none") return;
    linkSync(from, to);
  },
  // A link is broken: the same bytes and time, another inode.
  ({ path }) => {
    const target = path();
    if (kindOf(target) !== "file") return;
    execFileSync("cp", ["-p", target, `${target}~`]);
    renameSync(`${target}~`, target);
  },
  ({ path }) => {
    const target = path();
    if (kindOf(target) !== "file") return;
    execFileSync("fallocate", ["-d", target]);
  },
];

/** Applies some 30 changes to the tree at `root`. */
export function mutate(root: string, seed: string): void {
  const random = randomBytes(seed);
  for (const directory of DIRECTORIES) {
    const path = `${root}/${directory}`;
    if (kindOf(path.replace(/\/$/u, "")) !== "directory") {
      rmSync(path, { recursive: true, force: true });
      mkdirSync(path, { recursive: true });
    }
  }
  const pick = (): string => {
    const directories = DIRECTORIES.filter((name) => kindOf(`${root}/${name}`) === "directory");
    const directory = directories[random.below(directories.length)] ?? "";
    return `${root}/${directory}${directory === "" ? "" : "/"}f${random.below(12)}`;
  };
  for (let number = 0; number < 30; number += 1) {
    CHANGES[random.below(CHANGES.length)]?.({ root, random, path: pick });
  }
}
