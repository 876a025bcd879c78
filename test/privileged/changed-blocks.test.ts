/** Of a changed large file only changed blocks cross, on file systems that can clone files and on those that cannot. */
import { copyFileSync, linkSync } from "node:fs";
import { join } from "node:path";

import { expect, it } from "vitest";

import { receiptOf, type Receipt } from "../agent/receipt.ts";
import { pvferry } from "../agent/run-pvferry.ts";
import { FILESYSTEMS, mountFilesystem } from "../bed/filesystem.ts";
import { describeWith } from "../bed/needs.ts";
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
  },
);
