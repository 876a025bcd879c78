/**
 * npm run bench [-- SET... --pairs N --scale SHARE --on FILESYSTEM --flags="FLAG..."]: pvferry copy, with these flags
 * besides, against rsync + stunnel, alternating, on tmpfs, or on ext4, xfs or btrfs in a file. Needs root and, for the sets
 * of 4 GB, some 14 GB of free memory or disk; --scale makes the second copies smaller.
 *
 * npm run bench -- wan [--path NAME... --volume NAME... --pairs N --flags="FLAG..." --alone]: the two agents over long
 * paths, against the same; --alone without that.
 */
import { cpus, release, totalmem } from "node:os";
import process from "node:process";
import { parseArgs } from "node:util";

import { FILESYSTEMS, type FilesystemKind } from "../test/bed/filesystem.ts";
import { compareTrees } from "../test/judge/compare-trees.ts";
import { copy, type Contender } from "./contender.ts";
import { benchDialers } from "./dialers/run.ts";
import { ferry } from "./ferry.ts";
import { interrupt } from "./interrupt.ts";
import { openPlace, type Place } from "./place.ts";
import { runsTable, summaryLines, type Run } from "./report.ts";
import { rsyncThroughStunnel } from "./rival.ts";
import type { BenchSet } from "./sets/set.ts";
import { setNamed, setsAtScale } from "./sets/table.ts";
import { benchWan } from "./wan/run.ts";

async function measure(contender: Contender, place: Place, set: BenchSet): Promise<Run> {
  place.prepare();
  const { group, wire } = contender;
  if (set.interruptedAt !== undefined) await interrupt(contender, place, set.interruptedAt);
  group.resetPeaks();
  const [cpuBefore, wireBefore] = [group.cpuSeconds(), wire.bytes()];
  const started = performance.now();
  await copy(contender);
  const seconds = (performance.now() - started) / 1000;
  return {
    contender: contender.name,
    seconds,
    cpuSeconds: group.cpuSeconds() - cpuBefore,
    peakBytes: group.peakBytes(),
    wireBytes: wire.bytes() - wireBefore,
  };
}

/** A contender that is fast because it leaves things out is no contender. */
async function expectCopied(place: Place, contender: Contender): Promise<void> {
  const differences = await compareTrees(place.source, place.target, { rsync: false });
  const first = differences[0];
  if (first === undefined) return;
  throw new Error(`${contender.name} did not copy ${first.path}: ${first.what}`);
}

async function benchmark(
  set: BenchSet & { readonly name: string },
  kind: FilesystemKind,
  pairs: number,
  flags: readonly string[],
): Promise<void> {
  process.stdout.write(`\n## (${set.name}) ${set.what}, on ${kind}\n\n`);
  using place = await openPlace(set, kind);
  const { folder, source, target } = place;
  await using ours = ferry(`${folder}/ferry`, source, target, [...set.flags, ...flags]);
  await using rival = await rsyncThroughStunnel(`${folder}/rival`, source, target);
  // One untimed run each: certificates are made, files are in the page cache, and the copies are judged.
  for (const contender of [ours, rival]) {
    await measure(contender, place, set);
    await expectCopied(place, contender);
  }
  const runs: Run[] = [];
  for (let pair = 0; pair < pairs; pair++) {
    // Whoever is first in one pair is second in the next.
    for (const contender of pair % 2 === 0 ? [ours, rival] : [rival, ours]) {
      runs.push(await measure(contender, place, set));
    }
  }
  process.stdout.write(`CPU by ${ours.group.accounting}\n\n${runsTable(runs, set)}\n`);
  process.stdout.write(`${summaryLines(runs, ours.name, rival.name).join("\n")}\n`);
}

// So that what was opened is closed.
for (const signal of ["SIGINT", "SIGTERM"] as const) process.once(signal, () => process.exit(1));

const { values, positionals } = parseArgs({
  allowPositionals: true,
  options: {
    pairs: { type: "string" },
    scale: { type: "string", default: "1" },
    on: { type: "string", default: "tmpfs" },
    path: { type: "string", multiple: true, default: [] },
    volume: { type: "string", multiple: true, default: [] },
    alone: { type: "boolean", default: false },
    flags: { type: "string", default: "" },
  },
});
const kind = FILESYSTEMS.find((known) => known === values.on);
if (kind === undefined) throw new Error(`--on takes one of ${FILESYSTEMS.join(", ")}.`);
const sets = setsAtScale(Number(values.scale));
const chosen = positionals.length === 0 ? Object.keys(sets) : positionals;
const flags = values.flags.split(" ").filter(Boolean);
const model = cpus()[0]?.model ?? "unknown processor";
const memory = Math.round(totalmem() / 2 ** 30);
process.stdout.write(
  `${new Date().toISOString().slice(0, 16)}, Linux ${release()}, ${cpus().length} x ${model}, ${memory} GiB\n`,
);
if (chosen.includes("wan")) {
  const { path: paths, volume: volumes, alone } = values;
  await benchWan({ paths, volumes, pairs: Number(values.pairs ?? 2), flags, alone });
}
if (chosen.includes("dialers")) await benchDialers(Number(values.pairs ?? 3));
const others = chosen.filter((name) => name !== "wan" && name !== "dialers");
for (const set of others.map((name) => setNamed(sets, name))) {
  await benchmark(set, kind, Number(values.pairs ?? 5), flags);
}
