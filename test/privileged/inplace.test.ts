/** Large files that have changed, on a volume without room for a second copy of them. */
import { readFileSync, statSync, statfsSync } from "node:fs";
import { join } from "node:path";
import { setTimeout as sleep } from "node:timers/promises";

import { expect, it } from "vitest";

import { initPki, startSource, startTarget } from "../agent/agent-pair.ts";
import { receiptOf } from "../agent/receipt.ts";
import { pvferry } from "../agent/run-pvferry.ts";
import { breakingRelay } from "../bed/breaking-relay.ts";
import { mountFilesystem } from "../bed/filesystem.ts";
import { describeWith } from "../bed/needs.ts";
import { scratch } from "../bed/scratch.ts";
import { noiseCommand, shell } from "../bed/shell.ts";
import { expectFaithful } from "../judge/expect-faithful.ts";

const MB = 1_000_000;
/** A quarter of 1.2 GB that holds 1 GB, 900 MB of which change. */
const VOLUME_MIB = 320;
const CHANGED = 225 * MB;

interface Shown {
  readonly torn: readonly { readonly path: string | null }[];
}

async function torn(volume: string): Promise<readonly (string | null)[]> {
  const shown = await pvferry(["journal", volume, "--json"]);
  if (shown.code !== 0) return [];
  return (JSON.parse(shown.stdout) as Shown).torn.map((file) => file.path);
}

const PROGRAMS = ["rsync", "getfattr", "getfacl", "openssl", "mkfs.ext4", "mkfs.xfs"] as const;

describeWith({ root: true, programs: PROGRAMS }, "a volume without room for two", () => {
  it.each([
    ["ext4", 1, "stream"],
    ["ext4", 9, "stream"],
    ["xfs", 1, "disk"],
  ] as const)("gets changed files in place (%s, %d, --verify %s)", async (kind, files, verify) => {
    using source = mountFilesystem({ kind: "tmpfs", mebibytes: VOLUME_MIB });
    using target = mountFilesystem({ kind, mebibytes: VOLUME_MIB });
    const each = CHANGED / files;
    const fill = (seed: string): string =>
      Array.from({ length: files }, (_, n) => `${noiseCommand(`${seed}${n}`, each)} > f${n}`).join(
        "; ",
      );
    await shell(source.path, `${noiseCommand("rest", 20 * MB)} > rest; ${fill("old")}`);
    const copy = ["copy", source.path, target.path, "--existing", "mirror", "--json"];
    expect(receiptOf(await pvferry(copy)).exitCode).toBe(0);
    await shell(source.path, `${fill("new")}; chmod 4750 f0; setfattr -n user.k -v v f0`);
    const before = statSync(join(target.path, "f0")).ino;

    const receipt = receiptOf(await pvferry([...copy, "--inplace", "--verify", verify]));
    expect(receipt.items).toEqual([]);
    expect(receipt.knownBy.readBack).toBe(verify === "disk" ? files : 0);
    expect(receipt.exitCode).toBe(0);
    expect(receipt.movedBytes).toBe(CHANGED);
    expect(statSync(join(target.path, "f0")).ino).toBe(before);
    await expectFaithful(source.path, target.path);
  });

  it("writes only changed blocks of a clone, for which there is room (xfs)", async () => {
    using source = mountFilesystem({ kind: "tmpfs", mebibytes: VOLUME_MIB });
    using target = mountFilesystem({ kind: "xfs", mebibytes: VOLUME_MIB });
    await shell(source.path, `${noiseCommand("old", CHANGED)} > image`);
    const copy = ["copy", source.path, target.path, "--existing", "mirror", "--json"];
    expect(receiptOf(await pvferry(copy)).exitCode).toBe(0);
    await shell(
      source.path,
      "for n in {1..500}; do printf x | dd of=image bs=1 seek=$((n * 100 * 4096 + 5)) conv=notrunc status=none; done",
    );
    const receipt = receiptOf(await pvferry(copy));
    expect(receipt.exitCode).toBe(0);
    // A byte may be what it was.
    expect(receipt.movedBytes).toBeLessThanOrEqual(500 * 4_096);
    await expectFaithful(source.path, target.path);
  });

  it("gets one changed file after another without --inplace (ext4)", async () => {
    using source = mountFilesystem({ kind: "tmpfs", mebibytes: VOLUME_MIB });
    using target = mountFilesystem({ kind: "ext4", mebibytes: VOLUME_MIB });
    const files = Array.from({ length: 9 }, (_, n) => `f${n}`);
    const fill = (seed: string): string =>
      files.map((name) => `${noiseCommand(`${seed}${name}`, CHANGED / 9)} > ${name}`).join("; ");
    await shell(source.path, `${noiseCommand("rest", 20 * MB)} > rest; ${fill("old")}`);
    const copy = ["copy", source.path, target.path, "--existing", "mirror", "--json"];
    expect(receiptOf(await pvferry(copy)).exitCode).toBe(0);
    const { bavail, bsize } = statfsSync(target.path);
    expect(bavail * bsize).toBeGreaterThan(CHANGED / 9);
    expect(bavail * bsize).toBeLessThan(2 * (CHANGED / 9));
    await shell(source.path, fill("new"));

    const receipt = receiptOf(await pvferry(copy));
    expect(receipt.items).toEqual([]);
    expect(receipt.exitCode).toBe(0);
    await expectFaithful(source.path, target.path);
  });

  it("keeps the older file without --inplace", async () => {
    using source = mountFilesystem({ kind: "tmpfs", mebibytes: VOLUME_MIB });
    using target = mountFilesystem({ kind: "ext4", mebibytes: VOLUME_MIB });
    await shell(source.path, `${noiseCommand("old", CHANGED)} > image`);
    const copy = ["copy", source.path, target.path, "--existing", "mirror"];
    expect((await pvferry(copy)).code).toBe(0);
    const before = readFileSync(join(source.path, "image"));
    await shell(source.path, `${noiseCommand("new", CHANGED)} > image`);
    const ended = await pvferry(copy);
    expect(ended.code, ended.stderr).toBe(30);
    expect(ended.stderr).toMatch(/image would need some 225 MB .*nothing of it was written/);
    expect(readFileSync(join(target.path, "image")).equals(before)).toBe(true);
  });

  it.each([[[]], [["--inplace"]]])(
    "knows what a killed target has torn, and goes on (%j)",
    async (flags: readonly string[]) => {
      using place = scratch();
      using source = mountFilesystem({ kind: "tmpfs", mebibytes: VOLUME_MIB });
      using target = mountFilesystem({ kind: "ext4", mebibytes: VOLUME_MIB });
      const pki = await initPki(place.at("pki"));
      await shell(source.path, `${noiseCommand("old", 100 * MB)} > "im age"`);
      const copy = ["copy", source.path, target.path, "--existing", "mirror"];
      expect((await pvferry(copy)).code).toBe(0);
      await shell(source.path, `${noiseCommand("new", 100 * MB)} > "im age"`);

      const common = { volume: target.path, pki };
      const existing = ["--existing", "mirror", "--reconnect-timeout", "0s"];
      const first = await startTarget({ ...common, flags: [...existing, "--inplace"] });
      await using relay = await breakingRelay({
        targetPort: first.port,
        everyMs: 0,
        breaks: [],
        bytesPerSecond: 20 * MB,
      });
      const sender = { volume: source.path, pki, flags: ["--reconnect-timeout", "0s"] };
      const sending = startSource({ ...sender, port: relay.port });
      while (relay.bytes() < 30 * MB) await sleep(50);
      first.agent.kill("SIGKILL");
      await Promise.all([first.agent.ended, sending.ended]);
      expect(await torn(target.path)).toEqual(["im age"]);
      const lines = await pvferry(["journal", target.path]);
      expect(lines.stdout).toMatch(/^torn +im age$/m);

      const second = await startTarget({ ...common, flags: [...existing, ...flags] });
      const again = startSource({ ...sender, port: second.port });
      const [ours, theirs] = await Promise.all([again.ended, second.agent.ended]);
      expect(ours.code, ours.stderr).toBe(0);
      expect(theirs.code, theirs.stderr).toBe(0);
      await expectFaithful(source.path, target.path);
      expect(await torn(target.path)).toEqual([]);
    },
  );
});
