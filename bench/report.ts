/** Numbers as tables and ratios. */

export interface Run {
  readonly contender: string;
  readonly seconds: number;
  readonly cpuSeconds: number;
  readonly peakBytes: number;
  /** Both directions, with the packets' headers. */
  readonly wireBytes: number;
}

export interface SetSize {
  readonly bytes: number;
  readonly files: number;
}

const HEAD = `| run | contender | s | MB/s | files/s | CPU s | CPU s/GB | peak MB | MB on the wire |
|---|---|---|---|---|---|---|---|---|`;

function row(run: Run, number: number, size: SetSize): string {
  const cells = [
    number,
    run.contender,
    run.seconds.toFixed(2),
    (size.bytes / 1e6 / run.seconds).toFixed(0),
    (size.files / run.seconds).toFixed(0),
    run.cpuSeconds.toFixed(2),
    ((run.cpuSeconds * 1e9) / size.bytes).toFixed(2),
    (run.peakBytes / 1e6).toFixed(0),
    (run.wireBytes / 1e6).toFixed(1),
  ];
  return `| ${cells.join(" | ")} |`;
}

export function runsTable(runs: readonly Run[], size: SetSize): string {
  const rows = runs.map((run, index) => row(run, Math.floor(index / 2) + 1, size));
  return `${[HEAD, ...rows].join("\n")}\n`;
}

export function median(values: readonly number[]): number {
  const sorted = values.toSorted((a, b) => a - b);
  const middle = Math.floor(sorted.length / 2);
  const upper = sorted[middle] ?? Number.NaN;
  return sorted.length % 2 === 1 ? upper : (upper + (sorted[middle - 1] ?? Number.NaN)) / 2;
}

/** For each pair, how much of `one` fits into `other`. */
function ratios(
  runs: readonly Run[],
  one: string,
  other: string,
  of: (run: Run) => number,
): number[] {
  const mine = runs.filter(({ contender }) => contender === one);
  const theirs = runs.filter(({ contender }) => contender === other);
  return mine.map((run, index) => of(theirs[index] ?? run) / of(run));
}

export function summaryLines(runs: readonly Run[], ours: string, other: string): string[] {
  const line = (what: string, all: readonly number[]): string => {
    return `- ${what}: ${all.map((ratio) => ratio.toFixed(2)).join(", ")}; median ${median(all).toFixed(2)}`;
  };
  return [
    line(
      `speed: ${ours} is so many times as fast as ${other}, pair by pair`,
      ratios(runs, ours, other, ({ seconds }) => seconds),
    ),
    line(
      `CPU: ${other} needs so many times as much as ${ours}, pair by pair`,
      ratios(runs, ours, other, ({ cpuSeconds }) => cpuSeconds),
    ),
    line(
      `wire: ${ours} sends so many times as many bytes as ${other}, pair by pair`,
      ratios(runs, other, ours, ({ wireBytes }) => wireBytes),
    ),
  ];
}
