/**
 * Runs programs and accounts for all of them: every process is started inside a cgroup of its own making, so that the
 * CPU time of children and daemons is counted to the nanosecond, also of those that have ended. Where cgroups cannot be
 * made, the processes' own times are read from /proc just before they end, which misses the last 20 ms of each.
 */
import { execFileSync, spawn, type ChildProcess } from "node:child_process";
import { existsSync, mkdirSync, readFileSync, rmdirSync } from "node:fs";
import { join } from "node:path";
import process from "node:process";

export interface Group {
  /** "cgroup v1 cpuacct", "cgroup v2 cpu.stat" or "/proc". */
  readonly accounting: string;
  readonly start: (command: readonly string[], options?: StartOptions) => ChildProcess;
  /** Processes that have not ended. */
  readonly running: () => number;
  readonly cpuSeconds: () => number;
  /** Forgets the peaks so far of what has ended. */
  readonly resetPeaks: () => void;
  /** Sum over the processes of each one's peak resident memory, bytes. An upper bound: peaks need not coincide. */
  readonly peakBytes: () => number;
  readonly close: () => void;
}

export interface StartOptions {
  readonly environment?: NodeJS.ProcessEnv;
  readonly log?: number;
}

const SAMPLE_MS = 20;
const TICKS_PER_SECOND = 100;

interface Accounts {
  readonly accounting: string;
  readonly folder: string;
  readonly cpuSeconds: () => number;
}

function text(file: string): string {
  try {
    return readFileSync(file, "latin1");
  } catch {
    return "";
  }
}

/** A new cgroup, of whichever version this machine has; null when none can be made. */
function newCgroup(name: string): Accounts | null {
  const candidates = [
    { root: "/sys/fs/cgroup/cpuacct", file: "cpuacct.usage", accounting: "cgroup v1 cpuacct" },
    { root: "/sys/fs/cgroup", file: "cpu.stat", accounting: "cgroup v2 cpu.stat" },
  ];
  for (const { root, file, accounting } of candidates) {
    if (!existsSync(join(root, file))) continue;
    const folder = join(root, name);
    try {
      mkdirSync(folder);
    } catch {
      continue;
    }
    const read = (): number => {
      const content = text(join(folder, file));
      const microseconds = /^usage_usec (\d+)/m.exec(content)?.[1];
      return microseconds === undefined ? Number(content) / 1e9 : Number(microseconds) / 1e6;
    };
    return { accounting, folder, cpuSeconds: read };
  }
  return null;
}

function descendants(pid: number): number[] {
  const children = text(`/proc/${pid}/task/${pid}/children`).split(" ").filter(Boolean).map(Number);
  return [pid, ...children.flatMap(descendants)];
}

function ticksOf(pid: number): number {
  const fields = text(`/proc/${pid}/stat`)
    .replace(/^.*\) /s, "")
    .split(" ");
  return Number(fields[11] ?? 0) + Number(fields[12] ?? 0);
}

function peakOf(pid: number): number {
  return 1024 * Number(/^VmHWM:\s+(\d+)/m.exec(text(`/proc/${pid}/status`))?.[1] ?? 0);
}

/** Keeps the latest figures of every process of the group, so that they outlive it. */
class Sampler {
  readonly peaks = new Map<number, number>();
  readonly ticks = new Map<number, number>();
  private readonly timer: NodeJS.Timeout;
  private readonly pids: () => readonly number[];

  constructor(pids: () => readonly number[]) {
    this.pids = pids;
    this.timer = setInterval(() => this.sample(), SAMPLE_MS);
  }

  sample(): void {
    for (const pid of this.pids()) {
      const peak = peakOf(pid);
      if (peak > 0) this.peaks.set(pid, peak);
      const ticks = ticksOf(pid);
      if (ticks > 0) this.ticks.set(pid, ticks);
    }
  }

  stop(): void {
    clearInterval(this.timer);
  }
}

function sum(values: Iterable<number>): number {
  return [...values].reduce((total, value) => total + value, 0);
}

/** It stays busy until the kernel has buried its last process; an empty one that is left over does no harm. */
function removeCgroup(folder: string): void {
  try {
    rmdirSync(folder);
  } catch {
    setTimeout(() => execFileSync("rmdir", ["--ignore-fail-on-non-empty", folder]), 500);
  }
}

export function openGroup(name: string): Group {
  const cgroup = newCgroup(`pvferry-bench-${process.pid}-${name}`);
  const roots: number[] = [];
  const members = (): number[] =>
    cgroup === null
      ? roots.flatMap(descendants)
      : text(join(cgroup.folder, "cgroup.procs")).split("\n").filter(Boolean).map(Number);
  const sampler = new Sampler(members);
  const killAll = (): void => {
    for (const pid of members()) process.kill(pid, "SIGKILL");
  };
  // For a benchmark that is stopped on its way.
  process.once("exit", killAll);
  const joinGroup = cgroup === null ? "" : `echo $$ >'${join(cgroup.folder, "cgroup.procs")}';`;
  return {
    accounting: cgroup?.accounting ?? "/proc",
    start: (command, options = {}) => {
      const log = options.log ?? "ignore";
      const child = spawn("sh", ["-c", `${joinGroup} exec "$@"`, "sh", ...command], {
        env: options.environment ?? process.env,
        stdio: ["ignore", log, log],
      });
      if (child.pid !== undefined) roots.push(child.pid);
      return child;
    },
    running: () => members().length,
    cpuSeconds: () => {
      if (cgroup !== null) return cgroup.cpuSeconds();
      sampler.sample();
      return sum(sampler.ticks.values()) / TICKS_PER_SECOND;
    },
    resetPeaks: () => sampler.peaks.clear(),
    peakBytes: () => {
      sampler.sample();
      return sum(sampler.peaks.values());
    },
    close: () => {
      process.removeListener("exit", killAll);
      sampler.stop();
      killAll();
      if (cgroup !== null) removeCgroup(cgroup.folder);
    },
  };
}
