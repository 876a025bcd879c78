/** Copies whose data nobody verifies (--verify none): right all the same, and no receipt says more than is known. */
import { readFileSync, utimesSync, writeFileSync } from "node:fs";

import { expect, it } from "vitest";

import { receiptOf } from "../agent/receipt.ts";
import { pvferry } from "../agent/run-pvferry.ts";
import { describeWith } from "../bed/needs.ts";
import { scratch } from "../bed/scratch.ts";
import { expectFaithful } from "../judge/expect-faithful.ts";
import { writePlainTree } from "../volume/plain.ts";

const MIB = 1024 * 1024;

describeWith({ programs: ["rsync", "getfattr", "getfacl"] }, "--verify none", () => {
  it("copies everything, and proves nothing until somebody compares", async () => {
    using place = scratch();
    const [source, target] = [place.directory("source"), place.directory("target")];
    await writePlainTree(source, { largeFiles: 2, largeBytes: 3 * MIB, smallFiles: 200 });
    const args = ["copy", source, target, "--json"];
    const staged = receiptOf(await pvferry([...args, "--pass", "stage", "--verify", "none"]));
    expect(staged).toMatchObject({ exitCode: 0, verify: { mode: "none" }, resent: 0 });
    const { files } = staged.entries;
    expect(staged.knownBy).toMatchObject({ streamed: 0, compared: 0, unverified: files });
    expect([staged.roots.source.content, staged.roots.target.content]).toEqual([null, null]);

    // What was sent without digests is known once both sides have read it.
    const compared = receiptOf(await pvferry([...args, "--compare", "digest"]));
    expect(compared).toMatchObject({ exitCode: 0, movedBytes: 0 });
    expect(compared.knownBy).toMatchObject({ compared: files, assumed: 0, unverified: 0 });
    expect(compared.roots.target.content).toMatch(/^[0-9a-f]{64}$/);
    await expectFaithful(source, target);
  });

  it("says so in the verdict and in the text", async () => {
    using place = scratch();
    const [source, target] = [place.directory("source"), place.directory("target")];
    for (const name of ["kept", "new"]) writeFileSync(`${source}/${name}`, "bytes");
    writeFileSync(`${target}/kept`, "bytes");
    const long = new Date("2001-01-01T00:00:00Z");
    for (const side of [source, target]) utimesSync(`${side}/kept`, long, long);
    const flags = ["--existing", "mirror", "--verify", "none"];
    const { code, stderr } = await pvferry(["copy", source, target, ...flags]);
    expect(code, stderr).toBe(0);
    expect(stderr).toContain(
      "1 file of them taken for equal by size and time, 1 file of them sent and not verified.",
    );
    expect(stderr).toMatch(/^ +unverified +1 file sent, by --verify none$/m);
    expect(stderr).not.toMatch(/^ +content /m);
  });

  it("is about what is sent: --mode verify compares every byte all the same", async () => {
    using place = scratch();
    const [source, target] = [place.directory("source"), place.directory("target")];
    writeFileSync(`${source}/file`, "the same");
    writeFileSync(`${target}/file`, "the SAME");
    const long = new Date("2001-01-01T00:00:00Z");
    for (const side of [source, target]) utimesSync(`${side}/file`, long, long);
    const flags = ["--mode", "verify", "--verify", "none"];
    const { code, stdout } = await pvferry(["copy", source, target, ...flags]);
    expect(code).toBe(44);
    expect(stdout).toMatch(/file$/m);
    expect(readFileSync(`${target}/file`, "utf8")).toBe("the SAME");
  });
});
