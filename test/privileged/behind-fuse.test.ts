/** Target volumes that another process serves: what is removed or written there happens later, and otherwise. */
import { execFileSync } from "node:child_process";
import { readdirSync } from "node:fs";

import { expect, it } from "vitest";

import { receiptOf } from "../agent/receipt.ts";
import { pvferry } from "../agent/run-pvferry.ts";
import { mountFilesystem, type Bed } from "../bed/filesystem.ts";
import { describeWith } from "../bed/needs.ts";
import { scratch } from "../bed/scratch.ts";
import { expectFaithful } from "../judge/expect-faithful.ts";
import { makeEntries } from "../volume/apply.ts";
import { directory, file, symlink } from "../volume/entry.ts";

const NET_RAW = Buffer.from("0100000200200000000000000000000000000000", "hex");
const CAPABLE = { xattrs: [{ name: "security.capability", value: NET_RAW }], mode: 0o755 };
const ENTRIES = [
  directory("bin"),
  file("bin/small", "x", CAPABLE),
  file("bin/large", Buffer.alloc(700_000, 7), CAPABLE),
  symlink("link", "bin/small"),
];

/** How a directory of the bed is served at `at`. */
const SERVERS: readonly (readonly [string, (below: Bed, at: string) => readonly string[]])[] = [
  ["bindfs", ({ path }, at) => ["bindfs", path, at]],
  [
    "fuse-overlayfs",
    ({ path }, at) => {
      const layers = ["lower", "upper", "work"].map((name) => `${path}/${name}`);
      execFileSync("mkdir", layers);
      const [lower, upper, work] = layers;
      const options = `lowerdir=${lower},upperdir=${upper},workdir=${work}`;
      return ["fuse-overlayfs", "-o", options, at];
    },
  ],
];

describeWith(
  { root: true, programs: ["bindfs", "fuse-overlayfs", "rsync", "getfattr"] },
  "a copy onto a volume that a process serves",
  () => {
    it.each(SERVERS)("keeps everything and leaves nothing of its own: %s", async (_, serve) => {
      using source = mountFilesystem({ kind: "tmpfs" });
      using below = mountFilesystem({ kind: "tmpfs" });
      using place = scratch();
      const target = place.directory("target");
      await makeEntries(source.path, ENTRIES);
      const [command = "", ...args] = serve(below, target);
      execFileSync(command, args, { stdio: ["ignore", "ignore", "pipe"] });
      try {
        const ended = await pvferry(["copy", source.path, target, "--json"]);
        expect(receiptOf(ended).items).toEqual([]);
        expect(ended.code, ended.stderr).toBe(0);
        expect(readdirSync(target).toSorted()).toEqual(["bin", "link"]);
        await expectFaithful(source.path, target);
      } finally {
        execFileSync("umount", ["-l", target]);
      }
    });
  },
);
