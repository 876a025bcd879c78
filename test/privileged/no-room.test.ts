/** Targets that cannot take the volume: refused or ended with a clear word, never half done and called whole. */
import { mkdirSync, readdirSync, truncateSync, writeFileSync } from "node:fs";

import { expect, it } from "vitest";

import { receiptOf } from "../agent/receipt.ts";
import { pvferry } from "../agent/run-pvferry.ts";
import { mountFilesystem, type Bed } from "../bed/filesystem.ts";
import { describeWith } from "../bed/needs.ts";
import { randomBytes } from "../volume/random-bytes.ts";

const MIB = 1024 * 1024;

function sourceOf(files: number, bytesEach: number): Bed {
  const bed = mountFilesystem({ kind: "tmpfs", mebibytes: 200 });
  const random = randomBytes("room");
  for (let index = 0; index < files; index++) {
    writeFileSync(`${bed.path}/file-${String(index).padStart(3, "0")}`, random.bytes(bytesEach));
  }
  return bed;
}

describeWith({ root: true }, "a target", () => {
  it.each([[], ["--scan-first"]])(
    "of 8 MB is too small for 40 MB (flags: %s)",
    async (...flags) => {
      using source = sourceOf(40, MIB);
      using target = mountFilesystem({ kind: "tmpfs", mebibytes: 8 });
      const ended = await pvferry(["copy", source.path, target.path, ...flags]);
      expect(ended.stderr).toMatch(/space|needs .* free/i);
      expect(ended.code, ended.stderr).toBe(30);
      expect(ended.milliseconds).toBeLessThan(15_000);
      if (flags.length > 0) expect(readdirSync(target.path)).toEqual([]);
    },
  );

  it.each([[], ["--scan-first"]])(
    "of 50 inodes is too small for 200 files (flags: %s)",
    async (...flags) => {
      using source = sourceOf(200, 100);
      using target = mountFilesystem({ kind: "tmpfs", mebibytes: 8, mountOptions: "nr_inodes=50" });
      const ended = await pvferry(["copy", source.path, target.path, ...flags]);
      expect(ended.stderr).toMatch(/inode/i);
      expect(ended.code, ended.stderr).toBe(30);
      if (flags.length > 0) expect(readdirSync(target.path)).toEqual([]);
    },
  );

  it("has room for what is mostly holes", async () => {
    using source = mountFilesystem({ kind: "tmpfs", mebibytes: 200 });
    using target = mountFilesystem({ kind: "tmpfs", mebibytes: 16 });
    writeFileSync(`${source.path}/disk`, randomBytes("disk").bytes(4 * MIB));
    truncateSync(`${source.path}/disk`, 1024 * MIB);
    const ended = await pvferry(["copy", source.path, target.path]);
    expect(ended.code, ended.stderr).toBe(0);
  });

  it("that is mounted read-only is refused", async () => {
    using source = sourceOf(1, 100);
    using target = mountFilesystem({ kind: "tmpfs", mebibytes: 8 });
    target.remount("ro");
    const ended = await pvferry(["copy", source.path, target.path]);
    expect(ended.stderr).toMatch(/read-only/);
    expect(ended.code, ended.stderr).toBe(31);
  });
});

describeWith({ root: true, programs: ["mkfs.ext4"] }, "a source", () => {
  it("whose disk fails in places is copied but for these, and says so", async () => {
    using source = mountFilesystem({ kind: "ext4", mebibytes: 64 });
    using target = mountFilesystem({ kind: "tmpfs", mebibytes: 100 });
    const random = randomBytes("failing disk");
    mkdirSync(`${source.path}/files`);
    const contents = Array.from({ length: 40 }, () => random.bytes(MIB));
    contents.forEach((bytes, index) => writeFileSync(`${source.path}/files/${index}`, bytes));
    source.dropCaches();
    source.remount("ro");
    source.truncateDevice(40);
    source.dropCaches();
    const ended = await pvferry(["copy", source.path, target.path, "--json"]);
    const receipt = receiptOf(ended);
    expect(ended.code).toBe(40);
    expect(receipt.items.length).toBeGreaterThan(0);
    expect(receipt.items.length).toBeLessThan(40);
    for (const item of receipt.items) {
      expect(item).toMatchObject({ side: "source", class: "unreadable", errno: "EIO" });
    }
    const copied = readdirSync(`${target.path}/files`);
    const missing = receipt.items.map(({ path }) => path?.replace("files/", "") ?? "");
    expect(new Set([...copied, ...missing])).toEqual(
      new Set(contents.map((_, index) => `${index}`)),
    );
    expect(copied.length + missing.length).toBe(contents.length);
  });
});
