/**
 * A copy whose target loses its power at random moments, and what is found on its disk then: everything that the journal
 * or the receipt called durable, and a copy that goes on to a good end, comparing what the last checkpoint does not cover
 * and nothing else.
 */
import { existsSync, readdirSync } from "node:fs";
import { setTimeout as sleep } from "node:timers/promises";

import { expect } from "vitest";

import { initPki, startSource, startTarget } from "../agent/agent-pair.ts";
import { breakingRelay } from "../bed/breaking-relay.ts";
import { poweredVolume, type DiskCache, type PowerCut, type PowerOptions } from "../bed/power.ts";
import { scratch, type Scratch } from "../bed/scratch.ts";
import { expectFaithful } from "../judge/expect-faithful.ts";
import { listTree, type Tree } from "../judge/tree.ts";
import { randomBytes } from "../volume/random-bytes.ts";
import { changeTimes, lastCovered, expectDurable } from "./checkpointed.ts";
import { crossed } from "./crossed.ts";
import { workOnInterruptedVolume, writeInterruptedVolume } from "./interrupted-volume.ts";
import { expectResumed } from "./resumed-after-power.ts";

export interface PowerFailures {
  readonly kind: PowerOptions["kind"];
  readonly cache: DiskCache;
  readonly seed: string;
  /** The copy that loses its power is the first one, or brings an earlier one up to date, its large files in place or not. */
  readonly pass: "first" | "second" | "in place";
  /** Moments before the end. One more follows when both agents have said that all is done. */
  readonly cuts: number;
}

const MIB = 1024 * 1024;
const SIZES = { smallFiles: 1500, largeFiles: 4, largeBytes: 16 * MIB };
const PACE = 35 * MIB;
const DISK_MIB = 400;
const FLAGS = ["--compress", "none", "--lanes", "2"];

export const POWER_NEEDS = {
  root: true,
  programs: [
    "mkfs.ext4",
    "mkfs.xfs",
    "mkfs.btrfs",
    "losetup",
    "strace",
    "unshare",
    "rsync",
    "getfattr",
    "getfacl",
  ],
};

/** The volume's entries right after a cut: what is older than the checkpoint's moment has not changed since. */
interface Failure {
  readonly cut: PowerCut;
  readonly live: Tree;
  readonly changed: ReadonlyMap<string, bigint>;
}

async function fail(volume: string, cut: () => PowerCut): Promise<Failure> {
  const made = cut();
  const live = await listTree(volume, [".pvferry"], true);
  return { cut: made, live, changed: await changeTimes(volume) };
}

/** What there is to copy, and an earlier copy of what it was before if there has to be one; the bytes that have to cross. */
async function prepare(place: Scratch, target: string, { pass }: PowerFailures): Promise<number> {
  const [volume, pki] = [place.at("source"), place.at("pki")];
  const bytes = await writeInterruptedVolume(volume, SIZES);
  if (pass === "first") return bytes;
  const { agent, port } = await startTarget({ volume: target, pki });
  await using listening = agent;
  await using source = startSource({ volume, pki, port, flags: ["--pass", "stage"] });
  const ended = await Promise.all([source.ended, listening.ended]);
  expect(ended.map(({ code }) => code)).toEqual([0, 0]);
  return workOnInterruptedVolume(volume);
}

/** Copies to the end, while the power fails again and again. */
async function copyThroughFailures(
  place: Scratch,
  volume: { readonly path: string; readonly cut: () => PowerCut },
  plan: PowerFailures,
): Promise<Failure[]> {
  const [from, pki] = [place.at("source"), place.at("pki")];
  const bytes = await prepare(place, volume.path, plan);
  const flags = ["--checkpoint", "300ms", ...(plan.pass === "in place" ? ["--inplace"] : [])];
  const target = await startTarget({ volume: volume.path, pki, flags });
  await using listening = target.agent;
  const pace = { everyMs: 0, breaks: [], bytesPerSecond: PACE };
  await using relay = await breakingRelay({ targetPort: target.port, ...pace });
  await using source = startSource({ volume: from, pki, port: relay.port, flags: FLAGS });
  const random = randomBytes(plan.seed);
  const shares = Array.from({ length: plan.cuts }, () => random.number()).toSorted((a, b) => a - b);
  const failures: Failure[] = [];
  for (const share of shares) {
    await crossed(relay, source, share * bytes);
    await sleep(random.below(100));
    failures.push(await fail(volume.path, volume.cut));
  }
  // The source has heard that all is on disk; its target may still be removing its folder.
  await source.ended;
  failures.push(await fail(volume.path, volume.cut));
  for (const { code, stderr } of await Promise.all([source.ended, listening.ended])) {
    expect(code, stderr).toBe(0);
  }
  return failures;
}

/** What is there: nothing before the first promise, everything after the last. */
function isEmpty(volume: string): boolean {
  const beside = new Set(["lost+found", ".pvferry"]);
  return readdirSync(volume).every((name) => beside.has(name));
}

async function expectRecovered(place: Scratch, failure: Failure, number: number): Promise<void> {
  using disk = failure.cut();
  const [source, image] = [place.at("source"), disk.path];
  if (existsSync(`${image}/.pvferry/journal`)) {
    const covered = await lastCovered(image);
    await expectDurable({ source, image, covered, ...failure });
    await expectResumed({ place, image, covered, number });
  } else if (isEmpty(image)) {
    await expectResumed({ place, image, covered: null, number });
  }
  // Of a folder without a journal nothing is left to do.
  await expectFaithful(source, image, { excluded: [".pvferry"] });
}

export async function survivePowerFailures(failures: PowerFailures): Promise<void> {
  using place = scratch();
  place.directory("source");
  await initPki(place.at("pki"));
  using volume = poweredVolume({ ...failures, mebibytes: DISK_MIB });
  const all = await copyThroughFailures(place, volume, failures);
  const last = volume.cut();
  volume.unmount();
  for (const [index, failure] of all.entries()) await expectRecovered(place, failure, index);
  using disk = last();
  await expectFaithful(place.at("source"), disk.path);
  expect(existsSync(`${disk.path}/.pvferry`)).toBe(false);
}
