/** Of a changed large file only changed blocks cross, on file systems that can clone files and on those that cannot. */
import {
  closeSync,
  copyFileSync,
  existsSync,
  linkSync,
  openSync,
  readdirSync,
  readSync,
  writeSync,
} from "node:fs";
import { join } from "node:path";
import { setTimeout as sleep } from "node:timers/promises";

import { expect, it } from "vitest";

import { initPki, startSource, startTarget } from "../agent/agent-pair.ts";
import { receiptOf, type Receipt } from "../agent/receipt.ts";
import { pvferry } from "../agent/run-pvferry.ts";
import { breakingRelay } from "../bed/breaking-relay.ts";
import { FILESYSTEMS, mountFilesystem } from "../bed/filesystem.ts";
import { describeWith } from "../bed/needs.ts";
import { scratch } from "../bed/scratch.ts";
import { noiseCommand, shell } from "../bed/shell.ts";
import { expectFaithful } from "../judge/expect-faithful.ts";

const MIB = 1024 * 1024;
const SIZE = 64 * MIB;

async function copied(source: string, target: string): Promise<Receipt> {
  const ended = await pvferry(["copy", source, target, "--existing", "mirror", "--json"]);
  const receipt = receiptOf(ended);
  expect(receipt.items).toEqual([]);
  expect(ended.code, receipt.message).toBe(0);
  await expectFaithful(source, target);
  return receipt;
}

describeWith(
  {
    root: true,
    programs: ["rsync", "getfattr", "getfacl", "openssl", "mkfs.ext4", "mkfs.xfs", "mkfs.btrfs"],
  },
  "a changed large file",
  () => {
    it.each(FILESYSTEMS)("costs its changed blocks on %s", async (kind) => {
      using source = mountFilesystem({ kind, mebibytes: 500 });
      using target = mountFilesystem({ kind, mebibytes: 500 });
      await shell(source.path, `${noiseCommand("x", SIZE)} > large`);
      linkSync(join(source.path, "large"), join(source.path, "other"));
      await copied(source.path, target.path);

      // Forty blocks at places of their own, an attribute, and a mode.
      await shell(
        source.path,
        `for n in {1..40}; do printf x | dd of=large bs=1 seek=$((n * 1500007)) conv=notrunc status=none; done
         setfattr -n user.k -v v large; chmod 4750 large`,
      );
      const overwritten = await copied(source.path, target.path);
      expect(overwritten.movedBytes).toBe(40 * 4_096);
      expect(overwritten.matchedBytes).toBe(SIZE - 40 * 4_096);
      expect(overwritten.wireBytes).toBeLessThan(40 * 4_096 + 400_000);

      await shell(source.path, `${noiseCommand("x", 5_000_000)} >> large`);
      expect((await copied(source.path, target.path)).movedBytes).toBe(5_000_000);

      await shell(source.path, "truncate -s 30000001 large");
      expect((await copied(source.path, target.path)).movedBytes).toBe(0);

      await shell(
        source.path,
        "fallocate -p -o 4194304 -l 4194304 large; fallocate -p -o 12288 -l 4096 large; truncate -s 60M large",
      );
      expect((await copied(source.path, target.path)).movedBytes).toBeLessThan(2 * 524_288);

      await shell(
        source.path,
        "dd if=/dev/zero of=large bs=1M seek=4 count=4 conv=notrunc status=none",
      );
      expect((await copied(source.path, target.path)).movedBytes).toBeLessThan(2 * 524_288);
    });

    it.each(["xfs", "btrfs"] as const)("needs no room for a second copy on %s", async (kind) => {
      using source = mountFilesystem({ kind, mebibytes: 500 });
      using target = mountFilesystem({ kind, mebibytes: 500 });
      await shell(source.path, `${noiseCommand("x", 250 * MIB)} > large`);
      copyFileSync(join(source.path, "large"), join(target.path, "large"));
      await shell(
        source.path,
        "printf x | dd of=large bs=1 seek=99999999 conv=notrunc status=none",
      );
      expect((await copied(source.path, target.path)).movedBytes).toBe(4_096);
    });

    // Where the part is a clone, blocks are read from the older file and taken from the clone.
    it.each(["xfs", "btrfs"] as const)(
      "is right though somebody writes to the older one meanwhile, on %s",
      async (kind) => {
        using place = scratch();
        using source = mountFilesystem({ kind, mebibytes: 500 });
        using target = mountFilesystem({ kind, mebibytes: 500 });
        await initPki(place.at("pki"));
        await shell(source.path, `${noiseCommand("x", SIZE)} > large`);
        copyFileSync(join(source.path, "large"), join(target.path, "large"));
        const older = openSync(join(target.path, "large"), "r+");
        const late = SIZE - MIB;
        const wanted = Buffer.alloc(1);
        readSync(older, wanted, 0, 1, late);
        writeSync(older, Buffer.from([wanted.readUInt8() ^ 1]), 0, 1, late);

        const agents = { pki: place.at("pki") };
        const flags = ["--existing", "mirror"];
        const listening = await startTarget({ ...agents, volume: target.path, flags });
        const wire = { targetPort: listening.port, everyMs: 0, breaks: [] };
        await using relay = await breakingRelay({ ...wire, bytesPerSecond: 60_000 });
        const slow = { ...agents, port: relay.port, flags: ["--lanes", "1"] };
        const copying = startSource({ ...slow, volume: source.path });
        const parts = join(target.path, ".pvferry", "parts");
        while (!existsSync(parts) || readdirSync(parts).length === 0) await sleep(20);
        // The source's block is in the older file from now on, and not in its clone.
        writeSync(older, wanted, 0, 1, late);
        closeSync(older);
        const [ours, theirs] = await Promise.all([copying.ended, listening.agent.ended]);
        expect(ours.code, ours.stderr).toBe(0);
        expect(theirs.code, theirs.stderr).toBe(0);
        await expectFaithful(source.path, target.path);
      },
    );
  },
);
