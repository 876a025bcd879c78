/** The two agents over long paths, alternating with rsync + stunnel on the same ones. Needs root. */
import { existsSync, mkdirSync, readdirSync, rmSync } from "node:fs";
import { join } from "node:path";
import process from "node:process";
import { fileURLToPath } from "node:url";

import { mountFilesystem } from "../../test/bed/filesystem.ts";
import { openLongPath } from "../../test/bed/network/long-path.ts";
import { compareTrees } from "../../test/judge/compare-trees.ts";
import { copy, type Contender } from "../contender.ts";
import { rsyncThroughStunnel } from "../rival.ts";
import { agents, type Agents } from "./agents.ts";
import { pathNamed, PATHS, pathText, type PathFacts } from "./paths.ts";
import { wanSummary, wanTable, type WanRun } from "./table.ts";
import { volumeNamed, VOLUMES, type VolumeName } from "./volumes.ts";
import { lentWire } from "./wire.ts";

export interface WanOptions {
  /** Names; none means all. */
  readonly paths: readonly string[];
  /** What pvferry copies; none means what the path is judged by. */
  readonly volumes: readonly string[];
  readonly pairs: number;
  /** What pvferry is told besides. */
  readonly flags: readonly string[];
  /** Without the rival. */
  readonly alone: boolean;
}

/** A volume is written when it is asked for first, and each copy is emptied before the next one. */
interface Place extends Disposable {
  readonly source: (volume: VolumeName) => string;
  readonly target: string;
  readonly folder: string;
}

const OUT = fileURLToPath(new URL("../out", import.meta.url));
const ROOM_MIB = 2_600;

function openPlace(): Place {
  const folder = join(OUT, `wan-${process.pid}`);
  mkdirSync(folder, { recursive: true });
  const bed = mountFilesystem({ kind: "tmpfs", mebibytes: ROOM_MIB });
  const source = (volume: VolumeName): string => {
    const written = join(bed.path, volume);
    if (existsSync(written)) return written;
    mkdirSync(written);
    VOLUMES[volume].write(written);
    return written;
  };
  const close = (): void => {
    bed[Symbol.dispose]();
    rmSync(folder, { recursive: true, force: true });
  };
  process.once("exit", close);
  const target = join(bed.path, "target");
  mkdirSync(target);
  return {
    source,
    target,
    folder,
    [Symbol.dispose]: () => {
      process.removeListener("exit", close);
      close();
    },
  };
}

/** A copy that is wrong is no result. */
async function judge(contender: Contender, source: string, target: string): Promise<void> {
  const [first] = await compareTrees(source, target, { rsync: false });
  if (first === undefined) return;
  throw new Error(`${contender.name} did not copy ${first.path}: ${first.what}`);
}

async function measure(
  contender: Contender & Partial<Agents>,
  volume: VolumeName,
  place: Place,
): Promise<WanRun> {
  for (const name of readdirSync(place.target)) {
    rmSync(join(place.target, name), { recursive: true });
  }
  await contender.prepare?.();
  const { group, wire } = contender;
  const [cpuBefore, wireBefore, started] = [group.cpuSeconds(), wire.bytes(), performance.now()];
  await copy(contender);
  const seconds = (performance.now() - started) / 1000;
  await contender.finish?.();
  const [cpuSeconds, wireBytes] = [group.cpuSeconds() - cpuBefore, wire.bytes() - wireBefore];
  await judge(contender, place.source(volume), place.target);
  const run: WanRun = {
    volume,
    contender: contender.name,
    seconds,
    cpuSeconds,
    wireBytes,
    lanes: contender.lanes?.() ?? null,
  };
  process.stderr.write(`${run.contender}, ${VOLUMES[volume].what}: ${seconds.toFixed(2)} s\n`);
  return run;
}

/** What either contender copies, each time. */
function volumesOf(
  path: PathFacts,
  chosen: readonly VolumeName[],
): { readonly [who in "ours" | "rivals"]: readonly VolumeName[] } {
  if (chosen.length === 0) {
    const large = path.rivalIsSlow ? "shorter" : "file";
    return { ours: ["file", "small", "same"], rivals: [large, "small"] };
  }
  return { ours: chosen, rivals: chosen };
}

async function measureOurs(
  place: Place,
  volume: VolumeName,
  wire: Contender["wire"],
  flags: readonly string[],
): Promise<WanRun> {
  const volumes = { source: place.source(volume), target: place.target };
  await using ours = agents(join(place.folder, "pvferry"), volumes, wire, flags);
  return await measure(ours, volume, place);
}

async function measureRival(
  place: Place,
  volume: VolumeName,
  wire: Contender["wire"],
): Promise<WanRun> {
  const folder = join(place.folder, "rival");
  await using rival = await rsyncThroughStunnel(folder, place.source(volume), place.target, wire);
  return await measure(rival, volume, place);
}

async function benchPath(path: PathFacts, place: Place, options: WanOptions): Promise<void> {
  process.stdout.write(`\n## ${pathText(path)}\n\n`);
  await using way = await openLongPath(path, "release");
  const wire = lentWire(way);
  const runs: WanRun[] = [];
  const { ours, rivals } = volumesOf(path, options.volumes.map(volumeNamed));
  const turns = [
    async (): Promise<void> => {
      for (const volume of ours) {
        runs.push(await measureOurs(place, volume, wire, options.flags));
      }
    },
    async (): Promise<void> => {
      if (options.alone) return;
      for (const volume of rivals) runs.push(await measureRival(place, volume, wire));
    },
  ];
  for (let pair = 0; pair < options.pairs; pair++) {
    // Whoever is first in one pair is second in the next.
    for (const turn of pair % 2 === 0 ? turns : turns.toReversed()) await turn();
  }
  const packets = await way.end();
  const summary = wanSummary(runs, path, ["pvferry", "rsync + stunnel"]);
  process.stdout.write(`${wanTable(runs, path)}\n${summary.join("\n")}\n- packets: ${packets}\n`);
}

export async function benchWan(options: WanOptions): Promise<void> {
  const names = options.paths.length === 0 ? Object.keys(PATHS) : options.paths;
  const paths = names.map(pathNamed);
  using place = openPlace();
  for (const path of paths) await benchPath(path, place, options);
}
