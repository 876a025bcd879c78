/**
 * npm run bench [-- --profile a|b --pairs N --note TEXT]: pvferry copy against rsync + stunnel, alternating, on tmpfs.
 * Needs root and, for profile a, some 10 GB of free memory.
 */
import { cpus, release, totalmem } from "node:os";
import process from "node:process";
import { parseArgs } from "node:util";

import { compareTrees } from "../test/judge/compare-trees.ts";
import type { Contender } from "./contender.ts";
import { ferry } from "./ferry.ts";
import { openPlace, SETS, type Place, type SetName } from "./place.ts";
import { runsTable, summaryLines, type Run } from "./report.ts";
import { rsyncThroughStunnel } from "./rival.ts";

async function measure(contender: Contender, place: Place): Promise<Run> {
  place.prepare();
  contender.group.resetPeaks();
  const cpuBefore = contender.group.cpuSeconds();
  const started = performance.now();
  await contender.copy();
  const seconds = (performance.now() - started) / 1000;
  return {
    contender: contender.name,
    seconds,
    cpuSeconds: contender.group.cpuSeconds() - cpuBefore,
    peakBytes: contender.group.peakBytes(),
  };
}

/** A contender that is fast because it leaves things out is no contender. */
async function expectCopied(place: Place, contender: Contender): Promise<void> {
  const differences = await compareTrees(place.source, place.target, { rsync: false });
  const first = differences[0];
  if (first === undefined) return;
  throw new Error(`${contender.name} did not copy ${first.path}: ${first.what}`);
}

async function benchmark(set: SetName, pairs: number, flags: readonly string[]): Promise<void> {
  const { what } = SETS[set];
  process.stdout.write(`\n## (${set}) ${what}\n\n`);
  using place = await openPlace(set);
  await using ours = ferry(`${place.folder}/ferry`, place.source, place.target, flags);
  await using rival = await rsyncThroughStunnel(
    `${place.folder}/rival`,
    place.source,
    place.target,
  );
  // One untimed run each: certificates are made, files are in the page cache, and the copies are judged.
  for (const contender of [ours, rival]) {
    await measure(contender, place);
    await expectCopied(place, contender);
  }
  const runs: Run[] = [];
  for (let pair = 0; pair < pairs; pair++) {
    // Whoever is first in one pair is second in the next.
    for (const contender of pair % 2 === 0 ? [ours, rival] : [rival, ours]) {
      runs.push(await measure(contender, place));
    }
  }
  process.stdout.write(`CPU by ${ours.group.accounting}\n\n${runsTable(runs, SETS[set])}\n`);
  process.stdout.write(`${summaryLines(runs, ours.name, rival.name).join("\n")}\n`);
}

const { values, positionals } = parseArgs({
  allowPositionals: true,
  options: {
    profile: { type: "string", multiple: true, default: ["a", "b"] },
    pairs: { type: "string", default: "5" },
  },
});
const model = cpus()[0]?.model ?? "unknown processor";
const memory = Math.round(totalmem() / 2 ** 30);
process.stdout.write(
  `${new Date().toISOString().slice(0, 16)}, Linux ${release()}, ${cpus().length} x ${model}, ${memory} GiB\n`,
);
for (const set of values.profile) {
  if (set !== "a" && set !== "b") throw new Error(`--profile is a or b, not ${set}`);
  await benchmark(set, Number(values.pairs), positionals);
}
