/** What find says about every entry of a tree. */
import { toolOutput } from "./run-tool.ts";

export interface TreeEntry {
  readonly path: string;
  /** f d l p s c b, as find prints it. */
  readonly type: string;
  readonly size: number;
  readonly inode: string;
  /** What must be the same in a copy, by the name it is reported under. */
  readonly facts: ReadonlyMap<string, string>;
}

export type Tree = ReadonlyMap<string, TreeEntry>;

const FORMATS = {
  path: "%P",
  type: "%y",
  mode: "%m",
  uid: "%U",
  gid: "%G",
  mtime: "%T@",
  size: "%s",
  names: "%n",
  inode: "%i",
  target: "%l",
} as const;
const FIELDS = Object.keys(FORMATS) as (keyof typeof FORMATS)[];
const ALWAYS_FACTS = ["type", "mode", "uid", "gid", "mtime"] as const;
/** Paths longer than this are handed to tools from a directory near them: the kernel takes 4096 bytes at most. */
export const LONG_PATH = 3500;

/** find's words for "not beneath these", for paths relative to the root. */
function pruning(excluded: readonly string[]): string[] {
  return excluded.flatMap((path) => ["-path", `./${path}`, "-prune", "-o"]);
}

async function deviceNumbers(
  root: string,
  options: readonly string[],
): Promise<ReadonlyMap<string, string>> {
  const args = [
    ".",
    ...options,
    "(",
    "-type",
    "b",
    "-o",
    "-type",
    "c",
    ")",
    "-execdir",
    "stat",
    "--printf=%i %t:%T\\n",
    "{}",
    "+",
  ];
  const lines = (await toolOutput({ command: "find", args, cwd: root }))
    .split("\n")
    .filter(Boolean);
  return new Map(lines.map((line) => line.split(" ") as [string, string]));
}

function entryFrom(fields: readonly string[], devices: ReadonlyMap<string, string>): TreeEntry {
  const said = new Map(FIELDS.map((name, index) => [name, fields[index] ?? ""]));
  const fact = (name: keyof typeof FORMATS): string => said.get(name) ?? "";
  const type = fact("type");
  const facts = new Map(ALWAYS_FACTS.map((name): [string, string] => [name, fact(name)]));
  // A directory's size and count of links belong to the file system, not to the tree.
  if (type !== "d") facts.set("names", fact("names"));
  if (type === "f" || type === "l") facts.set("size", fact("size"));
  if (type === "l") facts.set("target", fact("target"));
  if (type === "b" || type === "c") facts.set("device", devices.get(fact("inode")) ?? "unknown");
  return { path: fact("path"), type, size: Number(fact("size")), inode: fact("inode"), facts };
}

/** Files with several names say which is the first of them, so that the same names must belong together. */
function withLinkGroups(entries: readonly TreeEntry[]): TreeEntry[] {
  const first = new Map<string, string>();
  for (const { path, inode, type } of entries) {
    if (type !== "d" && !first.has(inode)) first.set(inode, path);
  }
  return entries.map((each) => {
    if (each.type === "d" || each.facts.get("names") === "1") return each;
    return {
      ...each,
      facts: new Map([...each.facts, ["first name", first.get(each.inode) ?? ""]]),
    };
  });
}

/**
 * Lists a tree without the excluded paths (relative to root). Names are bytes as latin1. What vanishes meanwhile is an error
 * unless somebody still writes to the tree.
 */
export async function listTree(
  root: string,
  excluded: readonly string[],
  isWritten = false,
): Promise<Tree> {
  const format = Object.values(FORMATS)
    .map((field) => `${field}\\0`)
    .join("");
  const races = isWritten ? ["-ignore_readdir_race"] : [];
  const args = [".", ...races, ...pruning(excluded), "-printf", format];
  const [listing, devices] = await Promise.all([
    toolOutput({ command: "find", args, cwd: root }),
    deviceNumbers(root, races),
  ]);
  const fields = listing.split("\0").slice(0, -1);
  const entries: TreeEntry[] = [];
  for (let at = 0; at < fields.length; at += FIELDS.length) {
    entries.push(entryFrom(fields.slice(at, at + FIELDS.length), devices));
  }
  entries.sort((a, b) => (a.path < b.path ? -1 : 1));
  return new Map(withLinkGroups(entries).map((each) => [each.path, each]));
}

/** The nearest ancestors of all overlong paths that can still be named: tools start there. */
export function ancestorsOfLongPaths(paths: Iterable<string>): string[] {
  const tops = new Set<string>();
  for (const path of paths) {
    if (path.length > LONG_PATH) tops.add(path.slice(0, path.lastIndexOf("/", LONG_PATH)));
  }
  return [...tops];
}
