/** --verify disk reads back what is not simply sent: blocks of changed files, copies in place of links, zeros for holes. */
import { closeSync, openSync, readFileSync, writeFileSync, writeSync } from "node:fs";
import { join } from "node:path";

import { afterAll, beforeAll, expect, it } from "vitest";

import { initPki } from "../agent/agent-pair.ts";
import { copyWhileFlipping, pathsOf } from "../agent/flipped-bits.ts";
import { receiptOf } from "../agent/receipt.ts";
import { pvferry } from "../agent/run-pvferry.ts";
import { mountFilesystem } from "../bed/filesystem.ts";
import { describeWith } from "../bed/needs.ts";
import { scratch } from "../bed/scratch.ts";
import { shell } from "../bed/shell.ts";
import { expectFaithful } from "../judge/expect-faithful.ts";
import { randomBytes } from "../volume/random-bytes.ts";

const place = scratch();
const random = randomBytes("read-back-changed");
const PIECE = 512 * 1024;
let pki = "";

beforeAll(async () => {
  pki = await initPki(place.at("pki"));
});

afterAll(() => place[Symbol.dispose]());

function overwrite(file: string, bytes: Buffer, at: number): void {
  const descriptor = openSync(file, "r+");
  writeSync(descriptor, bytes, 0, bytes.length, at);
  closeSync(descriptor);
}

const DISK = ["--verify", "disk"] as const;
const PROGRAMS = ["strace", "mkfs.ext4", "mkfs.xfs", "rsync", "getfattr", "getfacl"] as const;

describeWith({ root: true, programs: PROGRAMS }, "--verify disk", () => {
  it.each([
    // What did not change is written again there, so that it lies on the disk twice.
    ["ext4", 32, 1],
    // And here the older file's extents are the new one's.
    ["xfs", 300, 0],
  ] as const)("reads back all of a changed file (%s)", async (kind, mebibytes, spared) => {
    using bed = mountFilesystem({ kind, mebibytes });
    const volume = place.directory(`changed-${kind}`);
    const file = join(volume, "image");
    const [kept, patched, changed] = [random.bytes(64), random.bytes(64), random.bytes(64)];
    writeFileSync(file, random.bytes(6 * PIECE));
    overwrite(file, kept, PIECE + 8_192);
    const first = await pvferry(["copy", volume, bed.path, "--json"]);
    expect(receiptOf(first).exitCode, first.stderr).toBe(0);
    // In the same piece as what is kept, and in another one.
    overwrite(file, patched, PIECE + 100_000);
    overwrite(file, changed, 4 * PIECE);

    const { ended, receipt, flipped } = await copyWhileFlipping({
      bed,
      volume,
      pki,
      marks: {
        kept: { bytes: kept, spared, flips: 1, beside: patched },
        changed: { bytes: changed, spared: 0, flips: 1 },
      },
      sourceFlags: DISK,
      targetFlags: ["--existing", "mirror"],
    });
    expect(receipt.exitCode, ended.stderr).toBe(0);
    expect(flipped).toEqual({ kept: 1, changed: 1 });
    expect(pathsOf(receipt, "repaired")).toEqual(["image", "image"]);
    expect(receipt.movedBytes).toBe(2 * 4_096);
    expect(receipt.knownBy).toMatchObject({ streamed: 0, readBack: 1 });
    bed.dropCaches();
    await expectFaithful(volume, bed.path);
  });

  it.each([
    [1, 0, ["one", "two"]],
    [2, 43, ["one"]],
  ] as const)(
    "reads back a copy in place of a link (flipped %d times)",
    async (flips, code, left) => {
      using bed = mountFilesystem({ kind: "ext4", mebibytes: 32 });
      const volume = place.directory(`links-${flips}`);
      const mark = random.bytes(64);
      writeFileSync(join(volume, "one"), Buffer.concat([random.bytes(600_000), mark]));
      await shell(volume, "ln one two");
      const { ended, receipt, flipped } = await copyWhileFlipping({
        bed,
        volume,
        pki,
        marks: { copy: { bytes: mark, spared: 1, flips } },
        sourceFlags: DISK,
        fails: ["linkat:error=EMLINK"],
      });
      expect(flipped).toEqual({ copy: flips });
      expect(receipt.exitCode, ended.stderr).toBe(code === 0 ? 41 : code);
      const [copied = ""] = pathsOf(receipt, "not-kept");
      expect(pathsOf(receipt, flips === 1 ? "repaired" : "corrupted")).toEqual([copied]);
      expect(receipt.knownBy).toMatchObject({ streamed: 0, readBack: left.length });
      bed.dropCaches();
      const names = ["one", "two"].filter((name) => left.length === 2 || name !== copied);
      const wanted = readFileSync(join(volume, "one"));
      for (const name of names) {
        expect(readFileSync(join(bed.path, name)).equals(wanted), name).toBe(true);
      }
    },
  );

  it("says that zeros in place of holes were not read back", async () => {
    using bed = mountFilesystem({ kind: "ext4", mebibytes: 32 });
    const volume = place.directory("holes");
    writeFileSync(join(volume, "image"), random.bytes(4 * PIECE));
    writeFileSync(join(volume, "other"), random.bytes(2 * PIECE));
    const first = await pvferry(["copy", volume, bed.path, "--json"]);
    expect(receiptOf(first).exitCode, first.stderr).toBe(0);
    await shell(volume, `fallocate -p -o ${PIECE} -l ${2 * PIECE} image; echo more >> other`);
    const { ended, receipt } = await copyWhileFlipping({
      bed,
      volume,
      pki,
      marks: {},
      sourceFlags: DISK,
      targetFlags: ["--existing", "mirror", "--inplace"],
      fails: ["fallocate:error=EOPNOTSUPP"],
    });
    expect(receipt.exitCode, ended.stderr).toBe(0);
    expect(receipt.items).toMatchObject([
      { class: "skipped", path: "image", what: "read-back", errno: "EOPNOTSUPP" },
    ]);
    expect(receipt.knownBy).toMatchObject({ streamed: 1, readBack: 1 });
    bed.dropCaches();
    for (const name of ["image", "other"]) {
      const wanted = readFileSync(join(volume, name));
      expect(readFileSync(join(bed.path, name)).equals(wanted), name).toBe(true);
    }
  });
});
