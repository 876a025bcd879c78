/** What the last checkpoint of a journal promises, and whether it is kept. */
import { expect } from "vitest";

import { pvferry } from "../agent/run-pvferry.ts";
import { compareContents } from "../judge/contents.ts";
import { finishedFiles } from "../judge/finished-files.ts";
import { toolOutput } from "../judge/run-tool.ts";
import { listTree, type Tree } from "../judge/tree.ts";

const NANOSECONDS = 1_000_000_000n;

/** ctimes in nanoseconds, by path. */
export async function changeTimes(root: string): Promise<Map<string, bigint>> {
  const args = [
    ".",
    "-ignore_readdir_race",
    "-path",
    "./.pvferry",
    "-prune",
    "-o",
    "-printf",
    "%P\\0%C@\\0",
  ];
  const fields = (await toolOutput({ command: "find", args, cwd: root })).split("\0");
  const times = new Map<string, bigint>();
  for (let at = 0; at + 1 < fields.length; at += 2) {
    const [seconds = "", fraction = ""] = (fields[at + 1] ?? "").split(".");
    const nanoseconds = BigInt(fraction.slice(0, 9).padEnd(9, "0"));
    times.set(fields[at] ?? "", BigInt(seconds) * NANOSECONDS + nanoseconds);
  }
  return times;
}

interface Shown {
  readonly checkpoints: readonly {
    readonly covers: { readonly seconds: number; readonly nanoseconds: number };
  }[];
}

/** The moment before which everything is on disk, in nanoseconds; null when no checkpoint says so. */
export async function lastCovered(volume: string): Promise<bigint | null> {
  const { code, stdout, stderr } = await pvferry(["journal", "--json", volume]);
  expect(code, stderr).toBe(0);
  const last = (JSON.parse(stdout) as Shown).checkpoints.at(-1)?.covers;
  if (last === undefined) return null;
  return BigInt(last.seconds) * NANOSECONDS + BigInt(last.nanoseconds);
}

export interface Promised {
  readonly source: string;
  /** Where the disk is mounted again. */
  readonly image: string;
  readonly covered: bigint | null;
  /** The volume as it was right after the power failed, and when its entries had last changed. */
  readonly live: Tree;
  readonly changed: ReadonlyMap<string, bigint>;
}

/** Everything that had last changed before the moment is there as it was; and files as the source has them. */
export async function expectDurable(promised: Promised): Promise<void> {
  const { source, image, covered, live, changed } = promised;
  if (covered === null) return;
  const durable = [...live.values()].filter(({ path }) => (changed.get(path) ?? covered) < covered);
  const found = await listTree(image, [".pvferry"]);
  const lost = durable.filter(({ path, facts }) => {
    const now = found.get(path)?.facts;
    return [...facts].some(([name, value]) => now?.get(name) !== value);
  });
  expect(lost.map(({ path }) => path)).toEqual([]);
  const finished = new Set(await finishedFiles(source, image));
  const files = durable.map(({ path }) => path).filter((path) => finished.has(path));
  expect(await compareContents(source, image, files)).toEqual([]);
}
