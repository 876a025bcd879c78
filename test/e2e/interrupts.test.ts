/** Copies that are stopped in the middle: quickly, with nothing left that lies, and ready to be run again. */
import { existsSync, truncateSync, writeFileSync } from "node:fs";
import { setTimeout as sleep } from "node:timers/promises";

import { describe, expect, it } from "vitest";

import { startSource, startTarget } from "../agent/agent-pair.ts";
import { familyOf, stillRunning } from "../agent/processes.ts";
import { pvferry, startPvferry, type Agent } from "../agent/run-pvferry.ts";
import { sharedVolume } from "../agent/shared-volume.ts";
import { breakingRelay, type Relay } from "../bed/breaking-relay.ts";
import { describeWith } from "../bed/needs.ts";
import { scratch } from "../bed/scratch.ts";
import { expectFaithful, expectNothingHalf } from "../judge/expect-faithful.ts";

const MIB = 1024 * 1024;
const SIZES = { largeFiles: 3, largeBytes: 40 * MIB, smallFiles: 2000 };
/** Leaves four seconds until the copy is done. */
const PACE = 35 * MIB;
const WITHIN_MS = 2000;
/** What a machine busy with other tests may add. */
const SLACK_MS = 1500;
/** Less than the second after which a process is ended that still works on something. */
const AT_ONCE_MS = 900;

const { volume, pki } = sharedVolume(SIZES);

interface Halfway {
  readonly source: Agent;
  readonly target: Agent;
  readonly relay: Relay;
}

/** A transfer that has been copying for a second, at a pace that leaves some to go. */
async function halfway(target: string, flags: readonly string[] = []): Promise<Halfway> {
  const listening = await startTarget({ volume: target, pki, flags });
  const relay = await breakingRelay({
    targetPort: listening.port,
    everyMs: 0,
    breaks: [],
    bytesPerSecond: PACE,
  });
  const source = startSource({
    volume,
    pki,
    port: relay.port,
    flags: ["--compress", "none", ...flags],
  });
  while (relay.bound("lane") === 0) await sleep(20);
  await sleep(1000);
  return { source, target: listening.agent, relay };
}

async function finishAgain(target: string): Promise<void> {
  const again = await startTarget({ volume: target, pki });
  await using source = startSource({ volume, pki, port: again.port });
  const ended = await source.ended;
  expect(ended.code, ended.stderr).toBe(0);
  expect((await again.agent.ended).code).toBe(0);
  await expectFaithful(volume, target);
}

const SIGNALS = [
  ["source", "SIGINT", 130],
  ["source", "SIGTERM", 143],
  ["target", "SIGINT", 130],
  ["target", "SIGTERM", 143],
] as const;

describeWith({ programs: ["rsync", "getfattr", "getfacl"] }, "a transfer", () => {
  it.each(SIGNALS)(
    "whose %s gets %s stops on both sides, says so, and can be run again",
    async (side, signal, code) => {
      using place = scratch();
      const target = place.directory("target");
      const transfer = await halfway(target);
      const other = side === "source" ? transfer.target : transfer.source;
      const sent = performance.now();
      transfer[side].kill(signal);
      const [told, heard] = await Promise.all([transfer[side].ended, other.ended]);
      expect(performance.now() - sent).toBeLessThan(WITHIN_MS + SLACK_MS);
      expect(told.code, told.stderr).toBe(code);
      expect(heard.code, heard.stderr).toBe(24);
      expect(heard.stderr).toMatch(/interrupt/i);
      await transfer.relay[Symbol.asyncDispose]();
      await expectNothingHalf(volume, target);
      await finishAgain(target);
    },
  );

  it.each(["source", "target"] as const)(
    "that must not try again ends with 20 when its %s is killed outright, and can be run again",
    async (side) => {
      using place = scratch();
      const target = place.directory("target");
      const transfer = await halfway(target, ["--reconnect-timeout", "0"]);
      const other = side === "source" ? transfer.target : transfer.source;
      transfer[side].kill("SIGKILL");
      const heard = await other.ended;
      expect(heard.code, heard.stderr).toBe(20);
      await transfer.relay[Symbol.asyncDispose]();
      await expectNothingHalf(volume, target);
      await finishAgain(target);
    },
  );
});

describeWith({ programs: ["rsync", "getfattr", "getfacl"] }, "a copy on one machine", () => {
  it.each([
    ["SIGINT", 130],
    ["SIGTERM", 143],
  ] as const)("ends within 2 s of %s and leaves no process", async (signal, code) => {
    using place = scratch();
    const target = place.at("target");
    await using agent = startPvferry(["copy", volume, target]);
    // It is there from before the first write until the copy is durable.
    while (!existsSync(`${target}/.pvferry`)) await sleep(2);
    const family = familyOf(agent.pid);
    expect(family.length).toBeGreaterThan(1);
    const sent = performance.now();
    agent.kill(signal);
    const ended = await agent.ended;
    expect(performance.now() - sent).toBeLessThan(WITHIN_MS + SLACK_MS);
    expect(ended.code, ended.stderr).toBe(code);
    expect(stillRunning(family)).toEqual([]);
    await expectNothingHalf(volume, target);
    const again = await pvferry(["copy", volume, target]);
    expect(again.code, again.stderr).toBe(0);
    await expectFaithful(volume, target);
  });
});

describe("work that only reads", () => {
  it.each([
    ["SIGINT", 130],
    ["SIGTERM", 143],
  ] as const)("a digest ends by itself, at once, when it gets %s", async (signal, code) => {
    using place = scratch();
    const zeros = place.directory("zeros");
    // A quarter of a terabyte to hash that takes no room: only a stop inside of the native core ends it.
    for (let file = 0; file < 4000; file += 1) {
      writeFileSync(`${zeros}/${file}`, "");
      truncateSync(`${zeros}/${file}`, 64 * MIB);
    }
    await using agent = startPvferry(["digest", "--files", zeros]);
    await sleep(600);
    expect(agent.isRunning()).toBe(true);
    const sent = performance.now();
    agent.kill(signal);
    const ended = await agent.ended;
    expect(performance.now() - sent).toBeLessThan(AT_ONCE_MS);
    expect(ended.code, ended.stderr).toBe(code);
    expect(ended.stderr).not.toMatch(/unreadable/);
  });
});
