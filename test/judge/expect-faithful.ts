/** The judge as an expectation. */
import { expect } from "vitest";

import { compareTrees, type JudgeOptions } from "./compare-trees.ts";
import { compareContents } from "./contents.ts";
import { finishedFiles } from "./finished-files.ts";
import { printable } from "./run-tool.ts";

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
  const finished = await finishedFiles(source, target);
  expect(await compareContents(source, target, finished)).toEqual([]);
}
