/** --verify disk finds what a disk did not keep. */
import { existsSync, readFileSync, writeFileSync } from "node:fs";

import { afterAll, beforeAll, expect, it } from "vitest";

import { initPki, startSource, startTarget } from "../agent/agent-pair.ts";
import { copyWhileFlipping, pathsOf, type Flipped } from "../agent/flipped-bits.ts";
import { receiptOf } from "../agent/receipt.ts";
import { pvferry } from "../agent/run-pvferry.ts";
import { mountFilesystem, type Bed } from "../bed/filesystem.ts";
import { describeWith } from "../bed/needs.ts";
import { scratch } from "../bed/scratch.ts";
import { expectFaithful } from "../judge/expect-faithful.ts";
import { randomBytes } from "../volume/random-bytes.ts";

const place = scratch();
let volume = "";
let pki = "";
let marks: { readonly small: Buffer; readonly large: Buffer };

beforeAll(async () => {
  pki = await initPki(place.at("pki"));
  volume = place.directory("from");
  const random = randomBytes("read-back");
  marks = { small: random.bytes(64), large: random.bytes(64) };
  for (let number = 0; number < 20; number += 1) {
    writeFileSync(`${volume}/other-${number}`, random.bytes(3_000));
  }
  writeFileSync(`${volume}/small`, Buffer.concat([random.bytes(9_000), marks.small]));
  writeFileSync(`${volume}/large`, Buffer.concat([random.bytes(1_300_000), marks.large]));
});

afterAll(() => place[Symbol.dispose]());

/** A bit of each mark is flipped so many times at most. */
function flipping(bed: Bed, mode: string, flips: number): Promise<Flipped<keyof typeof marks>> {
  return copyWhileFlipping({
    bed,
    volume,
    pki,
    marks: {
      small: { bytes: marks.small, spared: 0, flips },
      large: { bytes: marks.large, spared: 0, flips },
    },
    sourceFlags: ["--verify", mode],
  });
}

describeWith({ root: true, programs: ["strace", "mkfs.ext4", "mkfs.btrfs"] }, "--verify", () => {
  it("stream knows nothing of bits that the disk flips later", async () => {
    using bed = mountFilesystem({ kind: "ext4", mebibytes: 32 });
    const copied = await flipping(bed, "stream", 1);
    expect(copied.flipped).toEqual({ small: 1, large: 1 });
    expect(copied.receipt.exitCode).toBe(0);
    bed.dropCaches();
    const same = readFileSync(`${bed.path}/small`).equals(readFileSync(`${volume}/small`));
    expect(same, "the flipped bit is there").toBe(false);
  });

  it.each([
    ["ext4", 32],
    // It has sums of its own: what it does not believe cannot be read.
    ["btrfs", 128],
  ] as const)(
    "disk finds them, writes again what is damaged, and says so (%s)",
    async (kind, mebibytes) => {
      using bed = mountFilesystem({ kind, mebibytes });
      const copied = await flipping(bed, "disk", 1);
      expect(copied.flipped).toEqual({ small: 1, large: 1 });
      expect(copied.receipt.exitCode, copied.ended.stderr).toBe(0);
      expect(pathsOf(copied.receipt, "repaired")).toEqual(["large", "small"]);
      expect(copied.receipt).toMatchObject({
        knownBy: { streamed: 0, readBack: 22 },
        verify: { mode: "disk", readBack: { filesystem: kind, method: "direct", repaired: 2 } },
      });
      bed.dropCaches();
      await expectFaithful(volume, bed.path);
    },
  );

  it("disk gives up what is damaged again, by name: 43", async () => {
    using bed = mountFilesystem({ kind: "ext4", mebibytes: 32 });
    const copied = await flipping(bed, "disk", 2);
    expect(copied.flipped).toEqual({ small: 2, large: 2 });
    expect(copied.receipt.exitCode).toBe(43);
    expect(pathsOf(copied.receipt, "corrupted")).toEqual(["large", "small"]);
    expect(copied.receipt.message).toContain("2 files could not be read back");
    expect(existsSync(`${bed.path}/small`)).toBe(false);
    expect(existsSync(`${bed.path}/large`)).toBe(false);
    // Another try of the same transfer finds what is missing, and nothing of what was damaged.
    const again = await flipping(bed, "disk", 0);
    expect(again.receipt.exitCode, again.ended.stderr).toBe(0);
    expect(again.receipt).toMatchObject({ pass: { number: 2 }, knownBy: { readBack: 2 } });
    bed.dropCaches();
    await expectFaithful(volume, bed.path);
  });

  it("disk takes what cannot be read for damaged", async () => {
    using bed = mountFilesystem({ kind: "ext4", mebibytes: 32 });
    const fails = "inject=pread64:error=EIO:when=1";
    const only = ["-P", `${bed.path}/small`, "-e", "trace=pread64", "-e", fails];
    const wrapper = ["strace", "-f", "-qq", "-o", "/dev/null", ...only];
    const { agent, port } = await startTarget({ volume: bed.path, pki, run: { wrapper } });
    await using source = startSource({ volume, pki, port, flags: ["--verify", "disk"] });
    const [ended] = await Promise.all([agent.ended, source.ended]);
    expect(ended.code, ended.stderr).toBe(0);
    const repaired = { class: "repaired", path: "small", errno: "EIO" };
    expect(receiptOf(ended).items).toMatchObject([repaired]);
    await expectFaithful(volume, bed.path);
  });

  it("disk says that a file system in memory has none", async () => {
    using bed = mountFilesystem({ kind: "tmpfs", mebibytes: 32 });
    const ended = await pvferry(["copy", volume, bed.path, "--verify", "disk", "--json"]);
    expect(ended.code, ended.stderr).toBe(0);
    expect(ended.stderr).toContain("read back    nothing: tmpfs keeps its files in memory");
    expect(receiptOf(ended)).toMatchObject({
      knownBy: { streamed: 22, readBack: 0 },
      verify: { mode: "disk", readBack: { filesystem: "tmpfs", method: "impossible", files: 0 } },
    });
  });
});
