/** A target is killed when its source has heard that all is well, and before it could remove pvferry's folder. */
import { execFileSync } from "node:child_process";
import { existsSync, statSync, utimesSync, writeFileSync } from "node:fs";
import process from "node:process";

import { expect, it } from "vitest";

import { startSource, startTarget } from "../agent/agent-pair.ts";
import { firstReceipt } from "../agent/first-receipt.ts";
import { receiptOf, type Receipt } from "../agent/receipt.ts";
import {
  pvferry,
  startPvferry,
  type Agent,
  type Ended,
  type RunOptions,
} from "../agent/run-pvferry.ts";
import { sharedVolume } from "../agent/shared-volume.ts";
import { describeWith } from "../bed/needs.ts";
import { scratch } from "../bed/scratch.ts";
import { expectFaithful } from "../judge/expect-faithful.ts";

const { volume, pki } = sharedVolume({ largeFiles: 1, largeBytes: 3_000_000, smallFiles: 200 });

/** root reads and writes what the mode forbids; this one does not. */
const WITHOUT_OVERRIDE =
  process.getuid?.() === 0 ? ["setpriv", "--bounding-set", "-dac_override,-dac_read_search"] : [];

/** Kills the agent when it is about to remove the journal: the first step of leaving. */
function killedAtJournal(trace: string): readonly string[] {
  const where = ["-e", "trace=unlinkat", "-P", "journal", "-e", "inject=unlinkat:signal=KILL"];
  return ["strace", "-D", "-f", "-qq", "-o", trace, ...where];
}

interface Left {
  readonly target: string;
  /** What the source ended with. */
  readonly receipt: Receipt;
  readonly receiptFile: string;
  /** Where the next target listens. */
  readonly port: number;
}

const WELL = { volume, code: 0 };

/** The copy is finished, its source has ended, and the folder is still there. */
async function leftBehind(
  place: { at: (name: string) => string },
  target: string,
  from: { readonly volume: string; readonly run?: RunOptions; readonly code: number } = WELL,
): Promise<Left> {
  const run = { wrapper: killedAtJournal(place.at("strace")) };
  const { agent, port } = await startTarget({ volume: target, pki, run });
  const receiptFile = place.at("source.json");
  await using source = startSource({ ...from, pki, port, flags: ["--receipt", receiptFile] });
  expect((await agent.ended).signal).toBe("SIGKILL");
  const ended = await source.ended;
  expect(ended.code, ended.stderr).toBe(from.code);
  expectLeft(target);
  return { target, receipt: receiptOf(ended), receiptFile, port };
}

function expectLeft(target: string): void {
  expect(existsSync(`${target}/.pvferry/journal`)).toBe(true);
}

function rootTime(folder: string): bigint {
  return statSync(folder, { bigint: true }).mtimeNs;
}

async function expectWhole(target: string): Promise<void> {
  expect(existsSync(`${target}/.pvferry`)).toBe(false);
  expect(rootTime(target)).toBe(rootTime(volume));
  await expectFaithful(volume, target);
}

async function alone({ target, port }: Left, ...flags: readonly string[]): Promise<Agent> {
  return (await startTarget({ volume: target, pki, port, flags })).agent;
}

/** How long it says that it waits. */
function waitMs(stderr: string): number {
  const [, day, time] = /once more, until (\S+) (\S+) UTC/.exec(stderr) ?? [];
  return Date.parse(`${day}T${time}Z`) - Date.now();
}

function documentOf(ended: Ended): { readonly [name: string]: unknown } {
  return JSON.parse(ended.stdout) as { readonly [name: string]: unknown };
}

describeWith(
  { programs: ["rsync", "getfattr", "getfacl", "strace", "b3sum", "setpriv"] },
  "a target alone",
  () => {
    it("ends a copy of which only pvferry's folder is left, with the outcome of then and no receipt", async () => {
      using place = scratch();
      const left = await leftBehind(place, place.directory("target"));
      const file = place.at("receipt.json");
      await using agent = await alone(left, "--reconnect-timeout", "1s", "--receipt", file);
      const ended = await agent.ended;
      expect(ended.code, ended.stderr).toBe(0);
      expect(ended.milliseconds).toBeGreaterThan(1_000);
      expect(ended.stderr).toMatch(/is finished: pass 1 ended at .* with exit code 0 \(ok\)/);
      expect(ended.stderr).toMatch(/was finished at .*the outcome is that of pass 1: exit code 0/);
      expect(documentOf(ended)).toMatchObject({
        exitCode: 0,
        pass: { kind: "cutover", number: 1 },
      });
      expect(documentOf(ended)).not.toHaveProperty("receipt");
      expect(existsSync(file)).toBe(false);
      await expectWhole(left.target);
    });

    it("ends with 40 when that pass did, and says where to look", async () => {
      using place = scratch();
      const from = place.directory("from");
      writeFileSync(`${from}/unreadable`, "nobody reads this", { mode: 0o000 });
      utimesSync(from, 1_000_000_000, 1_000_000_000);
      const source = { volume: from, run: { wrapper: WITHOUT_OVERRIDE }, code: 40 };
      const left = await leftBehind(place, place.directory("target"), source);
      await using agent = await alone(left, "--reconnect-timeout", "100ms", "-q");
      const ended = await agent.ended;
      expect(ended.code, ended.stderr).toBe(40);
      expect(ended.stderr).toMatch(/^pvferry: The copy .* pass 1: exit code 40 \(unreadable\)/);
      expect(ended.stderr).toContain("Look there for what was not kept");
      expect(existsSync(`${left.target}/.pvferry`)).toBe(false);
      expect(rootTime(left.target)).toBe(rootTime(from));
    });

    it("names the receipt that its source was given", async () => {
      using place = scratch();
      const left = await leftBehind(place, place.directory("target"));
      const digest = execFileSync("b3sum", ["--no-names", left.receiptFile], { encoding: "utf8" });
      await using agent = await alone(left, "--reconnect-timeout", "100ms");
      const ended = await agent.ended;
      expect(documentOf(ended)).toMatchObject({ receiptDigest: digest.trim() });
      expect(ended.stderr).toContain(`whose BLAKE3 is ${digest.trim()}`);
    });

    it("that is killed in the middle of it leaves the same, and the next one ends it", async () => {
      using place = scratch();
      const left = await leftBehind(place, place.directory("target"));
      const run = { wrapper: killedAtJournal(place.at("strace-again")) };
      const flags = ["--reconnect-timeout", "100ms"];
      const again = { volume: left.target, pki, port: left.port, flags };
      expect((await (await startTarget({ ...again, run })).agent.ended).signal).toBe("SIGKILL");
      expectLeft(left.target);
      const ended = await (await startTarget(again)).agent.ended;
      expect(ended.code, ended.stderr).toBe(0);
      await expectWhole(left.target);
    });

    it("lets in a source that comes in time, and both end with a receipt of their own", async () => {
      using place = scratch();
      const left = await leftBehind(place, place.directory("target"));
      await using agent = await alone(left, "--reconnect-timeout", "60s");
      await agent.says(/for a source that may want to compare once more/);
      await using source = startSource({ volume, pki, port: left.port });
      const receipt = await firstReceipt(source, agent);
      expect(receipt.pass.session).not.toBe(left.receipt.pass.session);
      await expectWhole(left.target);
    });

    it("lets in one that only compares, and leaves the folder to the next target", async () => {
      using place = scratch();
      const left = await leftBehind(place, place.directory("target"));
      await using agent = await alone(left, "--reconnect-timeout", "60s");
      await using source = startSource({
        volume,
        pki,
        port: left.port,
        flags: ["--mode", "verify"],
      });
      const [ours, theirs] = await Promise.all([source.ended, agent.ended]);
      expect(ours.code, ours.stderr).toBe(0);
      expect(theirs.code, theirs.stderr).toBe(0);
      expect(receiptOf(theirs)).toEqual(receiptOf(ours));
      expectLeft(left.target);
      await using next = await alone(left, "--reconnect-timeout", "100ms");
      expect((await next.ended).code).toBe(0);
      await expectWhole(left.target);
    });

    it.each([
      ["SIGINT", 130],
      ["SIGTERM", 143],
    ] as const)("that gets a %s while it waits leaves the folder", async (signal, code) => {
      using place = scratch();
      const left = await leftBehind(place, place.directory("target"));
      // Sources are not tried again for: then as long as a verdict is kept.
      await using agent = await alone(left, "--reconnect-timeout", "0");
      await agent.says(/until .* UTC/);
      expect(waitMs(agent.stderr())).toBeGreaterThan(50_000);
      expect(waitMs(agent.stderr())).toBeLessThan(61_000);
      agent.kill(signal);
      expect((await agent.ended).code).toBe(code);
      expectLeft(left.target);
      expect(rootTime(left.target)).toBe(rootTime(volume));
    });

    it("of a copy on one machine waits for no clock: its source comes", async () => {
      using place = scratch();
      const target = place.directory("target");
      const args = ["copy", "--json", "--reconnect-timeout", "1ms", volume, target];
      const wrapper = killedAtJournal(place.at("strace"));
      await using first = startPvferry(args, { wrapper });
      expect((await first.ended).code).toBe(24);
      expectLeft(target);
      const again = await pvferry(args);
      expect(again.code, again.stderr).toBe(0);
      expect(again.stderr).not.toMatch(/is finished: pass/);
      expect(receiptOf(again)).toMatchObject({ movedBytes: 0, exitCode: 0 });
      await expectWhole(target);
    });
  },
);
