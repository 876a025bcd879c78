/**
 * npm run test:soak [-- NAME...]: copies volumes that are large in one way each, with the agents as two processes, and
 * fails when either needs more than its share of memory. Needs some 12 GB of free memory for its tmpfs, and root. Then
 * runs the long forms of tests, test/soak/NAME.test.ts.
 */
import { execFileSync, spawnSync } from "node:child_process";
import { mkdirSync, readdirSync, readFileSync, rmSync } from "node:fs";
import { join } from "node:path";
import process from "node:process";
import { setTimeout as sleep } from "node:timers/promises";
import { fileURLToPath } from "node:url";

import { initPki, startSource, startTarget } from "../test/agent/agent-pair.ts";
import { receiptOf } from "../test/agent/receipt.ts";
import type { Agent, Ended } from "../test/agent/run-pvferry.ts";
import { compareContents } from "../test/judge/contents.ts";
import { SOAK_VOLUMES, type SoakVolume } from "./soak-volumes.ts";

const ROOT = fileURLToPath(new URL("..", import.meta.url));
const OUT = fileURLToPath(new URL("out", import.meta.url));
const LARGEST_PEAK = 256 * 1024 * 1024;
const SAMPLE_MS = 50;
const PATIENCE_MS = 3_600_000;

interface Outcome {
  readonly seconds: number;
  readonly sourcePeak: number;
  readonly targetPeak: number;
  readonly complaints: readonly string[];
}

/** Samples a process's own record of its peak until it ends. */
async function peakOf(agent: Agent): Promise<number> {
  let peak = 0;
  while (agent.isRunning()) {
    try {
      const status = readFileSync(`/proc/${agent.pid}/status`, "latin1");
      peak = Math.max(peak, 1024 * Number(/^VmHWM:\s+(\d+)/m.exec(status)?.[1] ?? 0));
    } catch {
      break;
    }
    await sleep(SAMPLE_MS);
  }
  return peak;
}

/** How many files and directories find counts beneath a directory. */
function countEntries(directory: string): (type: "f" | "d") => number {
  const script = `find "$1" -mindepth 1 -printf '%y\\n' | sort | uniq -c`;
  const counts = execFileSync("sh", ["-c", script, "sh", directory], { encoding: "utf8" });
  return (type) => Number(new RegExp(`(\\d+) ${type}$`, "m").exec(counts)?.[1] ?? 0);
}

function complaintsAbout(volume: SoakVolume, ended: Ended, target: string): string[] {
  if (ended.code !== 0) return [`ended with ${ended.code}: ${ended.stderr.slice(-2000)}`];
  const { files = 0, directories = 0 } = receiptOf(ended).entries;
  const found = countEntries(target);
  const expected = volume.entries;
  const checks: readonly (readonly [boolean, string])[] = [
    [found("f") === expected.files, `${found("f")} files at the target`],
    [found("d") === expected.directories, `${found("d")} directories at the target`],
    [files === expected.files, `the receipt counts ${files} files`],
    // Whether the root itself counts is the receipt's own affair.
    [
      Math.abs(directories - expected.directories) <= 1,
      `the receipt counts ${directories} directories`,
    ],
  ];
  return checks.filter(([fine]) => !fine).map(([, complaint]) => complaint);
}

async function wrongContents(source: string, target: string): Promise<string[]> {
  const files = readdirSync(source).filter((name) => name.startsWith("disk-"));
  const differences = await compareContents(source, target, files);
  return differences.map(({ path, what }) => `${path}: ${what.slice(0, 200)}`);
}

async function copyAndJudge(volume: SoakVolume, place: string): Promise<Outcome> {
  const [from, to] = [join(place, "source"), join(place, "target")];
  for (const directory of [from, to]) mkdirSync(directory);
  volume.write(from);
  const pki = await initPki(join(place, "pki"));
  const target = await startTarget({ volume: to, pki, run: { patienceMs: PATIENCE_MS } });
  const started = performance.now();
  await using source = startSource({
    volume: from,
    pki,
    port: target.port,
    run: { patienceMs: PATIENCE_MS },
  });
  const [sourcePeak, targetPeak] = await Promise.all([peakOf(source), peakOf(target.agent)]);
  const ended = await source.ended;
  await target.agent.ended;
  const seconds = (performance.now() - started) / 1000;
  const complaints = complaintsAbout(volume, ended, to);
  if (complaints.length === 0) complaints.push(...(await wrongContents(from, to)));
  if (Math.max(sourcePeak, targetPeak) > LARGEST_PEAK) complaints.push("more than 256 MiB");
  return { seconds, sourcePeak, targetPeak, complaints };
}

async function soak(name: string, volume: SoakVolume): Promise<Outcome> {
  const place = join(OUT, `soak-${name}`);
  mkdirSync(place, { recursive: true });
  execFileSync("mount", ["-t", "tmpfs", "-o", "size=14g,nr_inodes=6m", "pvferry-soak", place]);
  try {
    return await copyAndJudge(volume, place);
  } finally {
    execFileSync("umount", ["-l", place]);
    rmSync(place, { recursive: true, force: true });
  }
}

const chosen = process.argv.slice(2);
process.stdout.write(
  "| volume | s | source peak MiB | target peak MiB | verdict |\n|---|---|---|---|---|\n",
);
for (const [name, volume] of Object.entries(SOAK_VOLUMES)) {
  if (chosen.length > 0 && !chosen.includes(name)) continue;
  const { seconds, sourcePeak, targetPeak, complaints } = await soak(name, volume);
  const peaks = [sourcePeak, targetPeak];
  const mebibytes = peaks.map((peak) => (peak / 2 ** 20).toFixed(0));
  const verdict = complaints.length === 0 ? "ok" : complaints.join("; ");
  process.stdout.write(
    `| ${volume.what} | ${seconds.toFixed(1)} | ${mebibytes.join(" | ")} | ${verdict} |\n`,
  );
  if (complaints.length > 0) process.exitCode = 1;
}

/** What is not a volume's name is that of a long form. */
const longForms = chosen.filter((name) => !Object.hasOwn(SOAK_VOLUMES, name));
if (chosen.length === 0 || longForms.length > 0) {
  const args = ["run", "--config", "test/vitest.config.ts", "--project=soak", ...longForms];
  const { status } = spawnSync("vitest", args, { cwd: ROOT, stdio: "inherit" });
  if (status !== 0) process.exitCode = 1;
}
