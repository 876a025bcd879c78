/** Dry runs and comparisons change neither volume: the target may be mounted read-only, and strace sees no call that would. */
import { readFileSync } from "node:fs";

import { afterAll, beforeAll, expect, it } from "vitest";

import { initPki, startSource, startTarget } from "../agent/agent-pair.ts";
import { callsBeneath, tracingChanges, type Traced } from "../agent/changed-files.ts";
import { receiptOf } from "../agent/receipt.ts";
import { pvferry, type Ended } from "../agent/run-pvferry.ts";
import { mountFilesystem, type Bed } from "../bed/filesystem.ts";
import { describeWith } from "../bed/needs.ts";
import { scratch } from "../bed/scratch.ts";
import { makeVolume } from "../volume/make-volume.ts";
import { mutate } from "../volume/mutate.ts";

const place = scratch();
let from = "";
let pki = "";
let bed: Bed | undefined;

interface Looked {
  readonly source: Ended;
  readonly target: Ended;
  /** What each agent did to its own volume. */
  readonly traced: readonly [source: Traced, target: Traced];
}

/** Two agents under strace, with these flags of the source and of the target. */
async function traced(to: string, flags: string[], targetFlags: string[]): Promise<Looked> {
  const traces = [place.at("source.trace"), place.at("target.trace")] as const;
  const wrapped = (trace: string) => ({ run: { wrapper: tracingChanges(trace) } });
  const options = { volume: to, pki, flags: targetFlags, ...wrapped(traces[1]) };
  const { agent, port } = await startTarget(options);
  const source = await startSource({ volume: from, pki, port, flags, ...wrapped(traces[0]) }).ended;
  const target = await agent.ended;
  return { source, target, traced: [callsBeneath(traces[0], from), callsBeneath(traces[1], to)] };
}

function differencesOf(ended: Ended): number {
  const { differences } = receiptOf(ended) as unknown as {
    readonly differences: { readonly counts: { readonly [change: string]: number } };
  };
  return Object.values(differences.counts).reduce((sum, count) => sum + count, 0);
}

function expectUntouched({ traced: [source, target] }: Looked): void {
  expect([source.changing, target.changing]).toEqual([[], []]);
  // So many files are opened that the tracer cannot have looked elsewhere.
  expect(Math.min(source.all, target.all)).toBeGreaterThan(50);
}

describeWith({ root: true, programs: ["strace", "mkfs.ext4"] }, "a look changes nothing", () => {
  beforeAll(async () => {
    from = place.directory("from");
    pki = await initPki(place.at("pki"));
    await makeVolume(from, "every-kind");
    bed = mountFilesystem({ kind: "ext4" });
    const copied = await pvferry(["copy", "--existing", "mirror", from, bed.path]);
    if (copied.code !== 0) throw new Error(`copying ended with ${copied.code}: ${copied.stderr}`);
    bed.remount("ro");
  });

  afterAll(() => {
    bed?.[Symbol.dispose]();
    place[Symbol.dispose]();
  });

  it("where both volumes are alike", async () => {
    const looked = await traced(bed?.path ?? "", ["--mode", "verify"], ["--read-only"]);
    expect(looked.source.code, looked.source.stderr).toBe(0);
    const { roots } = receiptOf(looked.source);
    expect(roots.source).toEqual(roots.target);
    expectUntouched(looked);
  });

  it.each([
    { flags: ["--mode", "verify"], judging: [], code: 44 },
    { flags: ["--dry-run"], judging: ["--compare", "digest"], code: 0 },
  ])("where they differ: $flags $judging", async ({ flags, judging, code }) => {
    const to = bed?.path ?? "";
    bed?.remount("rw");
    mutate(to, { seed: flags.join(" "), youngFrom: Date.now() - 2_000 });
    bed?.remount("ro");
    const looked = await traced(to, flags, ["--read-only", "--existing", "mirror", ...judging]);
    expect(looked.source.code, looked.source.stderr).toBe(code);
    expect(differencesOf(looked.source)).toBeGreaterThan(5);
    expectUntouched(looked);
  });

  it("and a copy is seen to change its target alone", async () => {
    bed?.remount("rw");
    const copied = await traced(bed?.path ?? "", [], ["--existing", "mirror"]);
    expect(copied.source.code, copied.source.stderr).toBe(0);
    const [source, target] = copied.traced;
    expect(source.changing).toEqual([]);
    const changed = target.changing.join("\n");
    for (const call of ["openat2?", "renameat2?", "unlinkat", "utimensat"]) {
      expect(changed).toMatch(new RegExp(`^${call}\\(`, "mu"));
    }
    expect(readFileSync(place.at("target.trace"), "latin1")).toContain(".pvferry");
  });
});
