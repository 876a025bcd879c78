/** Connections die in the middle of a copy. */
import { expect, it } from "vitest";

import { initPki, startSource, startTarget } from "../agent/agent-pair.ts";
import { receiptOf } from "../agent/receipt.ts";
import { breakingRelay } from "../bed/breaking-relay.ts";
import { describeWith } from "../bed/needs.ts";
import { scratch } from "../bed/scratch.ts";
import { expectFaithful, expectNothingHalf } from "../judge/expect-faithful.ts";
import { writePlainTree } from "../volume/plain.ts";

const MIB = 1024 * 1024;
/** Some five seconds at the relay's pace: twenty lanes die. */
const SIZES = { largeFiles: 6, largeBytes: 60 * MIB, smallFiles: 4000 };
const PACE = 80 * MIB;

describeWith({ programs: ["rsync", "getfattr", "getfacl"] }, "a copy", () => {
  it("survives a lane being killed every 250 ms", async () => {
    using place = scratch();
    const [source, target] = [place.directory("source"), place.directory("target")];
    await writePlainTree(source, SIZES);
    const pki = await initPki(place.at("pki"));
    const listening = await startTarget({ volume: target, pki });
    await using relay = await breakingRelay({
      targetPort: listening.port,
      everyMs: 250,
      breaks: ["lane"],
      bytesPerSecond: PACE,
    });
    await using agent = startSource({
      volume: source,
      pki,
      port: relay.port,
      flags: ["--lanes", "3", "--compress", "none"],
    });
    const ended = await agent.ended;
    const receipt = receiptOf(ended);
    expect(ended.code, ended.stderr).toBe(0);
    expect((await listening.agent.ended).code).toBe(0);
    expect(relay.counts().broken).toBeGreaterThan(8);
    expect(receipt.reconnects).toBeGreaterThan(4);
    expect(receipt.items).toEqual([]);
    await expectFaithful(source, target);
  });

  it.each(["control", "index"] as const)(
    "ends with 20 on both sides when %s dies, and running again finishes it",
    async (kind) => {
      using place = scratch();
      const [source, target] = [place.directory("source"), place.directory("target")];
      await writePlainTree(source, SIZES);
      const pki = await initPki(place.at("pki"));
      const listening = await startTarget({ volume: target, pki });
      await using relay = await breakingRelay({
        targetPort: listening.port,
        everyMs: 0,
        breaks: [],
        bytesPerSecond: PACE,
      });
      await using agent = startSource({
        volume: source,
        pki,
        port: relay.port,
        flags: ["--compress", "none"],
      });
      setTimeout(() => relay.breakAll(kind), 2500);
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
