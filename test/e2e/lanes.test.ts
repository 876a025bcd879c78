/** Connections die in the middle of a copy. */
import { setTimeout as sleep } from "node:timers/promises";

import { expect, it } from "vitest";

import { startSource, startTarget } from "../agent/agent-pair.ts";
import { receiptOf } from "../agent/receipt.ts";
import { sharedVolume } from "../agent/shared-volume.ts";
import { breakingRelay } from "../bed/breaking-relay.ts";
import { describeWith } from "../bed/needs.ts";
import { scratch } from "../bed/scratch.ts";
import { expectFaithful, expectNothingHalf } from "../judge/expect-faithful.ts";

const MIB = 1024 * 1024;
const SIZES = { largeFiles: 3, largeBytes: 40 * MIB, smallFiles: 2000 };
/** Leaves four seconds until the copy is done, were no lane to die: time for a dozen of deaths. */
const PACE = 35 * MIB;

const { volume: source, pki } = sharedVolume(SIZES);

describeWith({ programs: ["rsync", "getfattr", "getfacl"] }, "a copy", () => {
  it("survives a lane being killed every 250 ms", async () => {
    using place = scratch();
    const target = place.directory("target");
    const listening = await startTarget({ volume: target, pki });
    await using relay = await breakingRelay({
      targetPort: listening.port,
      everyMs: 250,
      breaks: ["lane"],
      bytesPerSecond: PACE,
    });
    const flags = ["--lanes", "3", "--compress", "none"];
    await using agent = startSource({ volume: source, pki, port: relay.port, flags });
    const ended = await agent.ended;
    const receipt = receiptOf(ended);
    expect(ended.code, ended.stderr).toBe(0);
    expect((await listening.agent.ended).code).toBe(0);
    expect(relay.counts().broken).toBeGreaterThan(8);
    expect(receipt.reconnects).toBeGreaterThan(4);
    expect(receipt.items).toEqual([]);
    await expectFaithful(source, target);
  });

  it("begins although the first connections of its index break", async () => {
    using place = scratch();
    const target = place.directory("target");
    const listening = await startTarget({ volume: target, pki });
    await using relay = await breakingRelay({
      targetPort: listening.port,
      everyMs: 0,
      breaks: [],
      breaksFirst: { kind: "index", connections: 5 },
    });
    await using agent = startSource({ volume: source, pki, port: relay.port });
    const ended = await agent.ended;
    expect(ended.code, ended.stderr).toBe(0);
    expect((await listening.agent.ended).code).toBe(0);
    expect(relay.counts()).toMatchObject({ index: 6, broken: 5 });
    expect(receiptOf(ended).items).toEqual([]);
    await expectFaithful(source, target);
  });

  it.each(["control", "index"] as const)(
    "that must not try again ends with 20 on both sides when %s dies, and running again finishes it",
    async (kind) => {
      using place = scratch();
      const target = place.directory("target");
      const atOnce = ["--reconnect-timeout", "0"];
      const listening = await startTarget({ volume: target, pki, flags: atOnce });
      await using relay = await breakingRelay({
        targetPort: listening.port,
        everyMs: 0,
        breaks: [],
        bytesPerSecond: PACE,
      });
      const flags = ["--compress", "none", ...atOnce];
      await using agent = startSource({ volume: source, pki, port: relay.port, flags });
      while (relay.bound("lane") === 0) await sleep(20);
      setTimeout(() => relay.breakAll(kind), 1000);
      const [ours, theirs] = await Promise.all([agent.ended, listening.agent.ended]);
      expect(ours.code, ours.stderr).toBe(20);
      expect(theirs.code, theirs.stderr).toBe(20);
      await expectNothingHalf(source, target);

      const again = await startTarget({ volume: target, pki });
      await using second = startSource({ volume: source, pki, port: again.port });
      const ended = await second.ended;
      expect(ended.code, ended.stderr).toBe(0);
      expect((await again.agent.ended).code).toBe(0);
      await expectFaithful(source, target);
    },
  );
});
