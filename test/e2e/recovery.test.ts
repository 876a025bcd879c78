/** A transfer that loses its control connection, its index or one of its agents goes on by itself. */
import { setTimeout as sleep } from "node:timers/promises";

import { expect, it } from "vitest";

import { startSource, startTarget, type ListeningTarget } from "../agent/agent-pair.ts";
import { receiptOf } from "../agent/receipt.ts";
import type { Agent, Ended } from "../agent/run-pvferry.ts";
import { sharedVolume } from "../agent/shared-volume.ts";
import { breakingRelay, type Relay } from "../bed/breaking-relay.ts";
import { describeWith } from "../bed/needs.ts";
import { scratch } from "../bed/scratch.ts";
import { expectFaithful } from "../judge/expect-faithful.ts";

const MIB = 1024 * 1024;
const SIZES = { largeFiles: 3, largeBytes: 40 * MIB, smallFiles: 2000 };
/** Leaves four seconds until the copy is done. */
const PACE = 35 * MIB;
const FLAGS = ["--compress", "none", "--lanes", "2"];
const SECOND = 1_000;

const { volume, pki } = sharedVolume(SIZES);

interface Transfer extends AsyncDisposable {
  readonly source: Agent;
  readonly target: ListeningTarget;
  readonly relay: Relay;
}

/** Both agents, with a relay in between that lets a second's worth of data through before this resolves. */
async function halfway(
  target: string,
  flags: readonly string[] = [],
  pace: number = PACE,
): Promise<Transfer> {
  const listening = await startTarget({ volume: target, pki, flags });
  const relay = await breakingRelay({
    targetPort: listening.port,
    everyMs: 0,
    breaks: [],
    bytesPerSecond: pace,
  });
  const source = startSource({ volume, pki, port: relay.port, flags: [...FLAGS, ...flags] });
  await nextSession(relay, source, 0);
  return {
    source,
    target: listening,
    relay,
    [Symbol.asyncDispose]: async () => {
      await source[Symbol.asyncDispose]();
      await listening.agent[Symbol.asyncDispose]();
      await relay[Symbol.asyncDispose]();
    },
  };
}

/** Resolves a second after a session has brought its index, when there have been so many before it. */
async function nextSession(relay: Relay, source: Agent, before: number): Promise<void> {
  while (relay.bound("index") <= before) {
    if (!source.isRunning()) throw new Error(`no session after ${before}: ${source.stderr()}`);
    await sleep(20);
  }
  await sleep(SECOND);
}

/** Both ended well with the same receipt, and the judge agrees. Returns how many sessions it took. */
async function expectCopied(target: string, source: Ended, other: Ended): Promise<number> {
  expect(source.code, source.stderr).toBe(0);
  expect(other.code, other.stderr).toBe(0);
  const receipt = receiptOf(source);
  expect(receiptOf(other)).toEqual(receipt);
  await expectFaithful(volume, target);
  return receipt.sessions;
}

describeWith({ programs: ["rsync", "getfattr", "getfacl", "strace"] }, "a transfer", () => {
  it.each(["control", "index"] as const)("goes on after %s was cut three times", async (kind) => {
    using place = scratch();
    const target = place.directory("target");
    // Enough is left after each cut, whatever an earlier session has finished for good.
    await using transfer = await halfway(target, [], 20 * MIB);
    const { relay, source } = transfer;
    for (let cut = 1; cut <= 3; cut += 1) {
      relay.breakAll(kind);
      await nextSession(relay, source, cut);
    }
    const [ours, theirs] = await Promise.all([source.ended, transfer.target.agent.ended]);
    expect(await expectCopied(target, ours, theirs)).toBe(4);
    for (const { stderr } of [ours, theirs]) {
      expect(stderr).toMatch(/until \d{4}-\d\d-\d\d \d\d:\d\d:\d\d UTC/);
    }
  });

  it("goes on with a target that was killed and started again", async () => {
    using place = scratch();
    const target = place.directory("target");
    await using transfer = await halfway(target);
    transfer.target.agent.kill("SIGKILL");
    await transfer.target.agent.ended;
    const again = await startTarget({ volume: target, pki, port: transfer.target.port });
    await using successor = again.agent;
    const [ours, theirs] = await Promise.all([transfer.source.ended, successor.ended]);
    expect(await expectCopied(target, ours, theirs)).toBe(2);
  });

  it("goes on with a source that was killed and started again", async () => {
    using place = scratch();
    const target = place.directory("target");
    await using transfer = await halfway(target);
    transfer.source.kill("SIGKILL");
    await transfer.source.ended;
    const { port } = transfer.relay;
    await using successor = startSource({ volume, pki, port, flags: FLAGS });
    const [ours, theirs] = await Promise.all([successor.ended, transfer.target.agent.ended]);
    expect(await expectCopied(target, ours, theirs)).toBe(2);
  });

  it("is taken over at once by a source that is started while the older one hangs", async () => {
    using place = scratch();
    const target = place.directory("target");
    await using transfer = await halfway(target);
    // Its connections stay open: only the idle timeout would tell that it does nothing any more.
    transfer.source.kill("SIGSTOP");
    const started = performance.now();
    const { port } = transfer.relay;
    await using successor = startSource({ volume, pki, port, flags: FLAGS });
    await transfer.target.agent.says(/superseded by a newer one/);
    expect(performance.now() - started).toBeLessThan(12 * SECOND);
    transfer.source.kill("SIGCONT");
    const older = await transfer.source.ended;
    expect(older.code, older.stderr).toBe(24);
    expect(older.stderr).toMatch(/superseded by a newer one/);
    const [ours, theirs] = await Promise.all([successor.ended, transfer.target.agent.ended]);
    expect(await expectCopied(target, ours, theirs)).toBe(2);
  });

  it.each(["source", "target"] as const)("outlives its %s being stopped for 20 s", async (side) => {
    using place = scratch();
    const target = place.directory("target");
    await using transfer = await halfway(target, [], 20 * MIB);
    const stopped = side === "source" ? transfer.source : transfer.target.agent;
    stopped.kill("SIGSTOP");
    await sleep(20 * SECOND);
    stopped.kill("SIGCONT");
    const [ours, theirs] = await Promise.all([transfer.source.ended, transfer.target.agent.ended]);
    expect(await expectCopied(target, ours, theirs)).toBe(2);
  });

  it.each(["source", "target"] as const)(
    "ends with 20 when its %s does not come back in time",
    async (side) => {
      using place = scratch();
      const target = place.directory("target");
      await using transfer = await halfway(target, ["--reconnect-timeout", "3s"]);
      const gone = side === "source" ? transfer.source : transfer.target.agent;
      const left = side === "source" ? transfer.target.agent : transfer.source;
      gone.kill("SIGKILL");
      const killed = performance.now();
      const ended = await left.ended;
      expect(ended.code, ended.stderr).toBe(20);
      expect(ended.stderr).toMatch(/within 3s of the first loss \(--reconnect-timeout\)\. By then/);
      expect(performance.now() - killed).toBeLessThan(30 * SECOND);
    },
  );
});
