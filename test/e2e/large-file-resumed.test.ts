/** A large file whose copy was killed goes on where it was: counted on the wire. */
import { writeFileSync } from "node:fs";
import { setTimeout as sleep } from "node:timers/promises";

import { afterAll, beforeAll, expect, it } from "vitest";

import { initPki, startSource, startTarget } from "../agent/agent-pair.ts";
import { receiptOf } from "../agent/receipt.ts";
import { pvferry } from "../agent/run-pvferry.ts";
import { breakingRelay } from "../bed/breaking-relay.ts";
import { describeWith } from "../bed/needs.ts";
import { scratch } from "../bed/scratch.ts";
import { expectFaithful } from "../judge/expect-faithful.ts";
import { randomBytes } from "../volume/random-bytes.ts";

const MB = 1_000_000;
const SIZE = 200 * MB;

interface Shown {
  readonly parts: readonly { readonly writtenBytes: number }[];
}

/** What the journal says has come of the only large file. */
async function recorded(volume: string): Promise<number> {
  const shown = await pvferry(["journal", volume, "--json"]);
  if (shown.code !== 0) return 0;
  return (JSON.parse(shown.stdout) as Shown).parts[0]?.writtenBytes ?? 0;
}

describeWith({ programs: ["rsync", "getfattr", "getfacl"] }, "a large file", () => {
  const shared = scratch();
  const pki = shared.at("pki");
  const volume = shared.directory("source");

  beforeAll(async () => {
    await initPki(pki);
    writeFileSync(`${volume}/large`, randomBytes("large").bytes(SIZE));
  });

  afterAll(() => shared[Symbol.dispose]());

  it.each([
    ["source", "stream"],
    ["target", "stream"],
    ["source", "none"],
  ])("sends less than 64 MB again when the %s is killed, --verify %s", async (killed, verify) => {
    using place = scratch();
    const target = place.directory("target");
    const listening = await startTarget({ volume: target, pki });
    const wire = { targetPort: listening.port, everyMs: 0, breaks: [] };
    await using relay = await breakingRelay({ ...wire, bytesPerSecond: 40 * MB });
    const flags = ["--compress", "none", "--lanes", "2", "--verify", verify];
    const source = startSource({ volume, pki, port: relay.port, flags });
    while ((await recorded(target)) < SIZE / 2) await sleep(50);
    const agent = killed === "source" ? source : listening.agent;
    agent.kill("SIGKILL");
    const sent = relay.bytes();
    const again =
      killed === "source"
        ? listening
        : await startTarget({ volume: target, pki, port: listening.port });
    const successor =
      killed === "target" ? source : startSource({ volume, pki, port: relay.port, flags });
    const [ours, theirs] = await Promise.all([successor.ended, again.agent.ended]);
    expect(ours.code, ours.stderr).toBe(0);
    expect(theirs.code, theirs.stderr).toBe(0);
    // Sums and TLS included.
    expect(relay.bytes()).toBeLessThan(SIZE + 64 * MB);
    expect(sent).toBeGreaterThan(SIZE / 2);
    const receipt = receiptOf(ours);
    expect(receipt.movedBytes + receipt.matchedBytes).toBe(SIZE);
    await expectFaithful(volume, target);
  });
});
