/** A copy keeps everything, judged by standard tools, on each file system. */
import { readFileSync, mkdirSync, writeFileSync } from "node:fs";

import fc from "fast-check";
import { expect, it } from "vitest";

import { receiptOf } from "../agent/receipt.ts";
import { pvferry } from "../agent/run-pvferry.ts";
import { FILESYSTEMS, mountFilesystem } from "../bed/filesystem.ts";
import { describeWith } from "../bed/needs.ts";
import { expectFaithful } from "../judge/expect-faithful.ts";
import { toolOutput } from "../judge/run-tool.ts";
import { makeEntries } from "../volume/apply.ts";
import { COMMON_LIMITS } from "../volume/limits.ts";
import { makeVolume } from "../volume/make-volume.ts";
import { randomTree } from "../volume/random-tree.ts";

const JUDGES = ["rsync", "getfattr", "getfacl", "mkfs.ext4", "mkfs.xfs", "mkfs.btrfs"];
const RANDOM_TREES = 12;

async function rootsOf(directory: string): Promise<unknown> {
  const { stdout } = await pvferry(["digest", directory, "--json"]);
  return (JSON.parse(stdout) as { roots: unknown }).roots;
}

describeWith({ root: true, programs: JUDGES }, "a copy by root", () => {
  it.each(FILESYSTEMS)("keeps every kind of entry on %s", async (kind) => {
    using source = mountFilesystem({ kind });
    using target = mountFilesystem({ kind });
    await makeVolume(source.path, "every-kind");
    const ended = await pvferry(["copy", source.path, target.path, "--json"]);
    const receipt = receiptOf(ended);
    expect(receipt.items).toEqual([]);
    expect(ended.code, receipt.message).toBe(0);
    await expectFaithful(source.path, target.path);
    expect(receipt.roots.source).toEqual(receipt.roots.target);
    expect(await rootsOf(source.path)).toEqual(receipt.roots.source);
    expect(await rootsOf(target.path)).toEqual(receipt.roots.target);
  });

  it.each([
    ["ext4", "xfs"],
    ["xfs", "btrfs"],
    ["btrfs", "tmpfs"],
    ["tmpfs", "ext4"],
  ] as const)("keeps every kind of entry from %s to %s", async (from, to) => {
    using source = mountFilesystem({ kind: from });
    using target = mountFilesystem({ kind: to });
    await makeVolume(source.path, "every-kind", COMMON_LIMITS);
    const ended = await pvferry(["copy", source.path, target.path, "--json"]);
    expect(receiptOf(ended).items).toEqual([]);
    expect(ended.code).toBe(0);
    await expectFaithful(source.path, target.path);
  });

  it.each(["tmpfs", "btrfs"] as const)("keeps random trees on %s", async (kind) => {
    using bed = mountFilesystem({ kind, mebibytes: 1000 });
    let count = 0;
    const property = fc.asyncProperty(randomTree, async (entries) => {
      count++;
      const [source, target] = [`${bed.path}/source-${count}`, `${bed.path}/target-${count}`];
      mkdirSync(source);
      await makeEntries(source, entries);
      const ended = await pvferry(["copy", source, target, "--json"]);
      expect(receiptOf(ended).items).toEqual([]);
      expect(ended.code).toBe(0);
      await expectFaithful(source, target, { rsync: false });
    });
    await fc.assert(property, { numRuns: RANDOM_TREES, endOnFailure: true });
  });

  it("copies a tebibyte of hole in no time", async () => {
    using bed = mountFilesystem({ kind: "tmpfs" });
    mkdirSync(`${bed.path}/source`);
    const half = { data: Buffer.alloc(512 * 1024, "data") };
    const extents = [
      { ...half, offset: 0 },
      { ...half, offset: 2 ** 40 - 512 * 1024 },
    ];
    const content = { type: "file", size: 2 ** 40, extents } as const;
    await makeEntries(`${bed.path}/source`, [
      { path: "disk", content, mode: 0o600, uid: 0, gid: 0, mtime: 5n, xattrs: [] },
    ]);
    const ended = await pvferry(["copy", `${bed.path}/source`, `${bed.path}/target`, "--json"]);
    expect(ended.code).toBe(0);
    // A second for the copy itself; starting two processes and their handshake come on top.
    expect(ended.milliseconds).toBeLessThan(5000);
    const blocks = await toolOutput({
      command: "stat",
      args: ["-c", "%b", `${bed.path}/target/disk`],
    });
    expect(Number(blocks) * 512).toBe(1024 * 1024);
  });
});

describeWith({ root: true, programs: JUDGES }, "a source", () => {
  it("may be mounted read-only", async () => {
    using source = mountFilesystem({ kind: "ext4" });
    using target = mountFilesystem({ kind: "ext4" });
    await makeVolume(source.path, "every-kind");
    source.remount("ro");
    const ended = await pvferry(["copy", source.path, target.path, "--json"]);
    expect(ended.code).toBe(0);
    await expectFaithful(source.path, target.path);
  });

  it("keeps its access times and is never written", async () => {
    using source = mountFilesystem({ kind: "ext4", mountOptions: "strictatime" });
    using target = mountFilesystem({ kind: "tmpfs" });
    await makeVolume(source.path, "every-kind", COMMON_LIMITS);
    // Reading a symbolic link sets its access time, and no flag prevents that.
    const stamps = ["-printf", "%A@ %C@ %T@ %P\\0"];
    const look = { command: "find", args: [".", "!", "-type", "l", ...stamps], cwd: source.path };
    // find itself reads directories: what they say after a first look is compared with what they say after the copy.
    source.remount("noatime");
    const before = await toolOutput(look);
    source.remount("strictatime");
    const ended = await pvferry(["copy", source.path, target.path, "--json"]);
    source.remount("noatime");
    expect(ended.code).toBe(0);
    expect(await toolOutput(look)).toBe(before);
  });

  it("does not lend what is mounted beneath it, but lists it", async () => {
    using source = mountFilesystem({ kind: "tmpfs" });
    using target = mountFilesystem({ kind: "tmpfs" });
    mkdirSync(`${source.path}/data/mounted`, { recursive: true });
    writeFileSync(`${source.path}/data/file`, "kept");
    await toolOutput({
      command: "mount",
      args: ["-t", "tmpfs", "inner", `${source.path}/data/mounted`],
    });
    writeFileSync(`${source.path}/data/mounted/foreign`, "left");
    const ended = await pvferry(["copy", source.path, target.path, "--json"]);
    const { items } = receiptOf(ended);
    expect(ended.code).toBe(0);
    expect(items).toEqual([
      expect.objectContaining({ class: "skipped", path: "data/mounted", side: "source" }),
    ]);
    expect(readFileSync(`${target.path}/data/file`, "utf8")).toBe("kept");
    const found = await toolOutput({ command: "find", args: [target.path, "-name", "foreign"] });
    expect(found).toBe("");
  });
});

describeWith({ root: true, programs: JUDGES }, "lost+found", () => {
  it("at the target's root is left alone, with what it holds", async () => {
    using source = mountFilesystem({ kind: "tmpfs" });
    using target = mountFilesystem({ kind: "ext4" });
    await makeVolume(source.path, "every-kind", COMMON_LIMITS);
    writeFileSync(`${target.path}/lost+found/#7`, "found by this file system's own fsck");
    const look = {
      command: "find",
      args: [`${target.path}/lost+found`, "-printf", "%P %i %m %U %G %T@ %s\\n"],
    };
    const before = await toolOutput(look);
    const ended = await pvferry(["copy", source.path, target.path, "--json"]);
    expect(ended.code).toBe(0);
    expect(await toolOutput(look)).toBe(before);
    await expectFaithful(source.path, target.path);
  });
});
