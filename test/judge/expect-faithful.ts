/** The judge as an expectation. */
import { expect } from "vitest";

import { compareTrees, type JudgeOptions } from "./compare-trees.ts";
import { compareContents } from "./contents.ts";
import { printable } from "./run-tool.ts";
import { listTree } from "./tree.ts";

const SHOWN = 40;

export async function expectFaithful(
  left: string,
  right: string,
  options?: JudgeOptions,
): Promise<void> {
  const differences = await compareTrees(left, right, options);
  const lines = differences.map(
    ({ path, what }) => `${printable(path) || "."}: ${printable(what)}`,
  );
  expect(lines.slice(0, SHOWN)).toEqual([]);
}

/** After an interrupted copy: whatever looks finished (size and time as at the source) must be so. */
export async function expectNothingHalf(source: string, target: string): Promise<void> {
  const [ours, theirs] = await Promise.all([listTree(source, []), listTree(target, [".pvferry"])]);
  const looksFinished = [...ours.values()].filter(({ path, type, facts }) => {
    const other = theirs.get(path)?.facts;
    return (
      type === "f" &&
      other?.get("mtime") === facts.get("mtime") &&
      other?.get("size") === facts.get("size")
    );
  });
  const paths = looksFinished.map(({ path }) => path);
  expect(await compareContents(source, target, paths)).toEqual([]);
}
