/** What was measured on one path, as a table and as ratios. */
import { median } from "../report.ts";
import type { PathFacts } from "./paths.ts";
import { VOLUMES, type VolumeName } from "./volumes.ts";

export interface WanRun {
  readonly volume: VolumeName;
  readonly contender: string;
  readonly seconds: number;
  readonly cpuSeconds: number;
  readonly wireBytes: number;
  /** null where there is no such thing. */
  readonly lanes: number | null;
}

const HEAD = `| volume | contender | s | Mbit/s | of the link | CPU s | MB on the wire | lanes |
|---|---|---|---|---|---|---|---|`;

/** Of the files' bytes. */
function mbitPerSecond({ volume, seconds }: Pick<WanRun, "volume" | "seconds">): number {
  return (VOLUMES[volume].bytes * 8) / 1e6 / seconds;
}

function row(run: WanRun, path: PathFacts): string {
  const rate = mbitPerSecond(run);
  const cells = [
    VOLUMES[run.volume].what,
    run.contender,
    run.seconds.toFixed(2),
    rate.toFixed(1),
    `${((100 * rate) / path.rateMbit).toFixed(1)} %`,
    run.cpuSeconds.toFixed(2),
    (run.wireBytes / 1e6).toFixed(1),
    run.lanes ?? "",
  ];
  return `| ${cells.join(" | ")} |`;
}

export function wanTable(runs: readonly WanRun[], path: PathFacts): string {
  return `${[HEAD, ...runs.map((run) => row(run, path))].join("\n")}\n`;
}

function rates(runs: readonly WanRun[], contender: string, volumes: readonly VolumeName[]): number {
  const chosen = runs.filter((run) => run.contender === contender && volumes.includes(run.volume));
  return median(chosen.map(mbitPerSecond));
}

/** Medians, and what they are to one another. Rates are compared, since the volumes may be of different lengths. */
export function wanSummary(
  runs: readonly WanRun[],
  path: PathFacts,
  [ours, other]: readonly [string, string],
): string[] {
  const line = (what: string, volumes: readonly VolumeName[]): string[] => {
    const [mine, theirs] = [rates(runs, ours, volumes), rates(runs, other, volumes)];
    if (Number.isNaN(mine)) return [];
    const share = ((100 * mine) / path.rateMbit).toFixed(1);
    const times = Number.isNaN(theirs)
      ? ""
      : `; ${other} ${theirs.toFixed(1)}: ${(mine / theirs).toFixed(2)} times as fast`;
    return [
      `- ${what}, medians: ${ours} ${mine.toFixed(1)} Mbit/s, ${share} % of the link${times}`,
    ];
  };
  const longer = rates(runs, ours, ["same"]) / rates(runs, ours, ["small"]);
  return [
    ...line("a large file", ["file", "longer", "shorter"]),
    ...line("small files", ["small"]),
    ...(Number.isNaN(longer)
      ? []
      : [`- small files take ${longer.toFixed(2)} times as long as the same bytes in one file`]),
  ];
}
