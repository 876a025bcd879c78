/**
 * What each way of reaching a target costs beside the direct one: time from the session's beginning to its end, that of the
 * whole command, and CPU of the two agents, proxies not counted. The link has a rate that neither agents nor proxies are
 * slower than, because all of them share this machine's processors. Needs root.
 */
import { execFileSync } from "node:child_process";
import { closeSync, mkdirSync, openSync, readFileSync, rmSync, writeFileSync } from "node:fs";
import { join } from "node:path";
import process from "node:process";
import { fileURLToPath } from "node:url";

import { mountFilesystem } from "../../test/bed/filesystem.ts";
import { paceToTarget } from "../../test/bed/network/pace.ts";
import { ADDRESSES, twoClusters, type TwoClusters } from "../../test/bed/network/two-clusters.ts";
import { viaUrl, WAYS, type Login } from "../../test/bed/network/ways.ts";
import { scratch } from "../../test/bed/scratch.ts";
import { compareTrees } from "../../test/judge/compare-trees.ts";
import { randomBytes } from "../../test/volume/random-bytes.ts";
import { succeeds } from "../contender.ts";
import { untilListening } from "../listening.ts";
import { openGroup, type Group } from "../measure.ts";

const PVFERRY = fileURLToPath(new URL("../../dist/cli/main.js", import.meta.url));
const OUT = fileURLToPath(new URL("../out", import.meta.url));
const PORT = 6443;
const FILE_BYTES = 400_000_000;
const MEGABITS = 800;

interface Run {
  /** From the beginning of the session to its end, as the receipt has it. */
  readonly sessionSeconds: number;
  readonly commandSeconds: number;
  readonly cpuSeconds: number;
}

interface Bench {
  readonly clusters: TwoClusters;
  readonly folder: string;
  readonly source: string;
  readonly target: string;
  readonly group: Group;
  readonly log: number;
}

interface Receipt {
  readonly startedAt: string;
  readonly endedAt: string;
}

function pvferry(...args: readonly string[]): readonly string[] {
  return [process.execPath, PVFERRY, ...args];
}

async function measure(bench: Bench, login: Login | null): Promise<Run> {
  const { clusters, folder, source, target, group, log } = bench;
  rmSync(target, { recursive: true, force: true });
  mkdirSync(target);
  const receiptFile = join(folder, "receipt.json");
  const tls = (side: string): readonly string[] => ["--tls", join(folder, "pki", side)];
  const listening = group.start(
    [...clusters.target.wrapper, ...pvferry("target", target, ...tls("target"), "--quiet")],
    { log },
  );
  await untilListening(listening, PORT);
  const to = ["--to", `${ADDRESSES.target.v4}:${PORT}`, "--receipt", receiptFile];
  const via = login === null ? [] : viaFlags(folder, login);
  const before = group.cpuSeconds();
  const began = performance.now();
  const command = pvferry("source", source, ...tls("source"), ...to, ...via, "--quiet");
  await succeeds(group.start([...clusters.source.wrapper, ...command], { log }), "the source");
  const commandSeconds = (performance.now() - began) / 1_000;
  if (listening.exitCode === null) await succeeds(listening, "the target");
  const { startedAt, endedAt } = JSON.parse(readFileSync(receiptFile, "utf8")) as Receipt;
  const sessionSeconds = (Date.parse(endedAt) - Date.parse(startedAt)) / 1_000;
  return { sessionSeconds, commandSeconds, cpuSeconds: group.cpuSeconds() - before };
}

function viaFlags(folder: string, login: Login): readonly string[] {
  const file = join(folder, "via");
  writeFileSync(file, `${viaUrl(login, ADDRESSES.sourceRouter.v4)}\n`, { mode: 0o600 });
  return ["--via-file", file, ...login.flags];
}

async function judge({ source, target }: Bench): Promise<void> {
  const [first] = await compareTrees(source, target, { rsync: false });
  if (first !== undefined) throw new Error(`${first.path} was not copied: ${first.what}`);
}

/** Pair by pair, so that what the machine does besides is the same for both. */
async function compare(bench: Bench, name: string, login: Login, pairs: number): Promise<string> {
  await measure(bench, login);
  await judge(bench);
  const rows: { direct: Run; through: Run }[] = [];
  for (let pair = 0; pair < pairs; pair++) {
    rows.push({ direct: await measure(bench, null), through: await measure(bench, login) });
  }
  const ratio = (value: (run: Run) => number): string => {
    const ratios = rows.map(({ direct, through }) => value(through) / value(direct));
    return ratios
      .toSorted((a, b) => a - b)
      .map((one) => one.toFixed(2))
      .join(", ");
  };
  const seconds = (value: (row: { direct: Run; through: Run }) => Run): string =>
    rows.map((row) => value(row).sessionSeconds.toFixed(2)).join(", ");
  return `| ${name} | ${seconds((row) => row.through)} | ${seconds((row) => row.direct)} | ${ratio((run) => run.sessionSeconds)} | ${ratio((run) => run.commandSeconds)} | ${ratio((run) => run.cpuSeconds)} |\n`;
}

export async function benchDialers(pairs: number): Promise<void> {
  const folder = join(OUT, `dialers-${process.pid}`);
  mkdirSync(folder, { recursive: true });
  using room = mountFilesystem({ kind: "tmpfs", mebibytes: 1_200 });
  using clusters = twoClusters({ forwards: true });
  using _pace = paceToTarget(clusters.router, MEGABITS);
  const source = join(room.path, "source");
  mkdirSync(source);
  writeFileSync(join(source, "file"), randomBytes("dialers").bytes(FILE_BYTES));
  execFileSync(process.execPath, [PVFERRY, "pki", "init", "--out", join(folder, "pki"), "--quiet"]);
  const group = openGroup("dialers");
  const log = openSync(join(folder, "log"), "w");
  const bench = { clusters, folder, source, target: join(room.path, "target"), group, log };
  process.stdout.write(
    `\n## One file of ${FILE_BYTES / 1e6} MB over a link of ${MEGABITS} Mbit/s, through a proxy and directly\n\n` +
      "| through | session, s | directly, s | session by session | command by command | CPU by CPU |\n" +
      "|---|---|---|---|---|---|\n",
  );
  try {
    for (const [name, open] of Object.entries(WAYS)) {
      using place = scratch();
      await using way = await open(clusters.router, place);
      process.stdout.write(await compare(bench, name, way.right, pairs));
    }
  } finally {
    closeSync(log);
    group.close();
    rmSync(folder, { recursive: true, force: true });
  }
}
