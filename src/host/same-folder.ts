/**
 * How two folders lie to each other. Two ways of looking, since each is blind where the other sees: device and inode of
 * every folder up to the root (symbolic links, mounts made over one another), and the place inside the file system
 * according to the mount table (bind mounts whose upper end is elsewhere).
 */

import { realpathSync, statSync } from "node:fs";
import path from "node:path";

import { mountOf } from "./mounts.ts";

export type Relation = "apart" | "same" | "first-inside-second" | "second-inside-first";

/** Both have to exist. */
export function relationOf(first: string, second: string): Relation {
  const one = realpathSync(first);
  const other = realpathSync(second);
  const byInode = compareChains(inodeChain(one), inodeChain(other));
  return byInode === "apart" ? compareChains(placeChain(one), placeChain(other)) : byInode;
}

/** A chain names a folder and everything above it, the folder itself first. */
function compareChains(first: readonly string[], second: readonly string[]): Relation {
  const [firstOwn] = first;
  const [secondOwn] = second;
  if (firstOwn === undefined || secondOwn === undefined) return "apart";
  if (firstOwn === secondOwn) return "same";
  if (first.includes(secondOwn)) return "first-inside-second";
  return second.includes(firstOwn) ? "second-inside-first" : "apart";
}

function inodeChain(folder: string): readonly string[] {
  return upwards(folder).map((at) => {
    const { dev, ino } = statSync(at, { bigint: true });
    return `${dev}:${ino}`;
  });
}

function placeChain(folder: string): readonly string[] {
  const mount = mountOf(folder);
  if (mount === null) return [];
  const place = path.join(mount.root, path.relative(mount.mountPoint, folder));
  return upwards(place).map((at) => `${mount.device} ${at}`);
}

function upwards(folder: string): readonly string[] {
  const chain: string[] = [];
  for (let at = folder; ; at = path.dirname(at)) {
    chain.push(at);
    if (at === path.dirname(at)) return chain;
  }
}
