/** --bwlimit: all lanes together keep the rate, as a relay between the agents counts it. */
import { setTimeout as sleep } from "node:timers/promises";

import { expect, it } from "vitest";

import { startSource, startTarget } from "../agent/agent-pair.ts";
import { sharedVolume } from "../agent/shared-volume.ts";
import { breakingRelay, type Relay } from "../bed/breaking-relay.ts";
import { describeWith } from "../bed/needs.ts";
import { scratch } from "../bed/scratch.ts";
import { expectFaithful } from "../judge/expect-faithful.ts";

const MB = 1_000_000;
const { volume, pki } = sharedVolume({ largeFiles: 2, largeBytes: 10 * MB, smallFiles: 500 });

/** Bytes a second between the first lane's beginning and the end of the data. */
async function rateOf(relay: Relay, isOver: () => boolean): Promise<number> {
  while (relay.bound("lane") === 0) await sleep(10);
  const [began, before] = [performance.now(), relay.bytes()];
  let last = { at: began, bytes: before };
  while (!isOver()) {
    await sleep(20);
    if (relay.bytes() > last.bytes) last = { at: performance.now(), bytes: relay.bytes() };
  }
  return ((last.bytes - before) * 1_000) / (last.at - began);
}

describeWith({ programs: ["rsync", "getfattr", "getfacl"] }, "a transfer with --bwlimit", () => {
  it.each([1, 6])("keeps the rate over %i lanes", async (lanes) => {
    using place = scratch();
    const target = place.directory("target");
    await using listening = (await startTarget({ volume: target, pki, port: 0 })).agent;
    await listening.says(/Listening on 127\.0\.0\.1:\d+/);
    const targetPort = Number(/Listening on 127\.0\.0\.1:(\d+)/.exec(listening.stderr())?.[1]);
    await using relay = await breakingRelay({ targetPort, everyMs: 0, breaks: [] });
    const flags = ["--bwlimit", "5M", "--compress", "none", "--lanes", `${lanes}`];
    await using source = startSource({ volume, pki, port: relay.port, flags });
    const rate = await rateOf(relay, () => !source.isRunning());
    expect((await source.ended).code, source.stderr()).toBe(0);
    await expectFaithful(volume, target);
    // A busy machine may be slower, and none may be faster than the limit and what a record adds.
    expect(rate).toBeLessThan(5.25 * MB);
    expect(rate).toBeGreaterThan(3.5 * MB);
  });
});
