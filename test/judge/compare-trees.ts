/** Judges whether one tree is a faithful copy of another, with standard tools and none of the product's code. */
import { aclsOf, xattrsOf, type Attributes } from "./attributes.ts";
import { compareContents, rsyncDifferences } from "./contents.ts";
import type { Difference } from "./difference.ts";
import { listTree, type Tree, type TreeEntry } from "./tree.ts";

export interface JudgeOptions {
  /** Paths beneath the root that are not looked at, in either tree. */
  readonly excluded?: readonly string[];
  /** Ask rsync as well. On by default. */
  readonly rsync?: boolean;
  /** Compare security.selinux and other attributes that a copy leaves out by default. */
  readonly allXattrs?: boolean;
}

/** Every file system may have its own; no copy takes it along. */
const ALWAYS_EXCLUDED = ["lost+found"];

function differingFacts(ours: TreeEntry, theirs: TreeEntry): Difference[] {
  const names = new Set([...ours.facts.keys(), ...theirs.facts.keys()]);
  return [...names]
    .filter((name) => ours.facts.get(name) !== theirs.facts.get(name))
    .map((name) => ({
      path: ours.path,
      what: `${name}: ${ours.facts.get(name) ?? "none"} | ${theirs.facts.get(name) ?? "none"}`,
    }));
}

function compareLists(left: Tree, right: Tree): Difference[] {
  const differences: Difference[] = [];
  for (const [path, ours] of left) {
    const theirs = right.get(path);
    if (theirs === undefined) differences.push({ path, what: "missing on the right" });
    else differences.push(...differingFacts(ours, theirs));
  }
  for (const path of right.keys()) {
    if (!left.has(path)) differences.push({ path, what: "only on the right" });
  }
  return differences;
}

function compareAttributes(
  kind: string,
  left: Attributes,
  right: Attributes,
  both: readonly string[],
): Difference[] {
  const inOneLine = (text: string): string =>
    text === "" ? "none" : text.replaceAll("\n", ", ").slice(0, 500);
  return both
    .map((path) => ({ path, ours: left.get(path) ?? "", theirs: right.get(path) ?? "" }))
    .filter(({ ours, theirs }) => ours !== theirs)
    .map(({ path, ours, theirs }) => ({
      path,
      what: `${kind}: ${inOneLine(ours)} | ${inOneLine(theirs)}`,
    }));
}

/** All differences between two trees; none means that the right one is a faithful copy of the left one. */
export async function compareTrees(
  left: string,
  right: string,
  options: JudgeOptions = {},
): Promise<Difference[]> {
  const excluded = [...ALWAYS_EXCLUDED, ...(options.excluded ?? [])];
  const [ours, theirs] = await Promise.all([listTree(left, excluded), listTree(right, excluded)]);
  const both = [...ours.keys()].filter((path) => theirs.get(path)?.type === ours.get(path)?.type);
  const files = both.filter(
    (path) => ours.get(path)?.type === "f" && ours.get(path)?.size === theirs.get(path)?.size,
  );
  const [ourXattrs, theirXattrs, ourAcls, theirAcls] = await Promise.all([
    xattrsOf(left, ours, options.allXattrs),
    xattrsOf(right, theirs, options.allXattrs),
    aclsOf(left, ours),
    aclsOf(right, theirs),
  ]);
  return [
    ...compareLists(ours, theirs),
    ...compareAttributes("xattrs", ourXattrs, theirXattrs, both),
    ...compareAttributes("ACL", ourAcls, theirAcls, both),
    ...(await compareContents(left, right, files)),
    ...(options.rsync === false ? [] : await rsyncDifferences(left, right, ours, excluded)),
  ];
}
