/** Targets that have no room for what is new beside what is extra: there, what is extra goes first. */
import { mkdirSync, readdirSync, writeFileSync } from "node:fs";

import { expect, it } from "vitest";

import { receiptOf } from "../agent/receipt.ts";
import { pvferry, type Ended } from "../agent/run-pvferry.ts";
import { mountFilesystem, type Bed } from "../bed/filesystem.ts";
import { describeWith } from "../bed/needs.ts";
import { expectFaithful } from "../judge/expect-faithful.ts";
import { randomBytes } from "../volume/random-bytes.ts";

const MIB = 1024 * 1024;
const JUDGES = ["rsync", "getfattr", "getfacl"];

interface Case {
  readonly mebibytes: number;
  readonly mountOptions?: string;
  /** Files that only the target has, and their bytes; the same of those that only the source has. */
  readonly extra: readonly [number, number];
  readonly fresh: readonly [number, number];
}

const BYTES: Case = { mebibytes: 80, extra: [6, 10 * MIB], fresh: [5, 10 * MIB] };
const INODES: Case = {
  mebibytes: 80,
  mountOptions: "nr_inodes=2000",
  extra: [1500, 100],
  fresh: [1000, 100],
};

class Pair implements Disposable {
  readonly source = mountFilesystem({ kind: "tmpfs", mebibytes: 200 });
  readonly target: Bed;

  /** What is extra lies where the source comes to last, and what is new where it comes to first. */
  constructor({ mebibytes, mountOptions, extra, fresh }: Case) {
    this.target = mountFilesystem({
      kind: "tmpfs",
      mebibytes,
      ...(mountOptions === undefined ? {} : { mountOptions }),
    });
    fill(`${this.target.path}/z/z/old`, ...extra);
    mkdirSync(`${this.source.path}/z/z`, { recursive: true });
    fill(`${this.source.path}/a`, ...fresh);
  }

  async copy(...flags: string[]): Promise<Ended> {
    return pvferry(["copy", "--json", this.source.path, this.target.path, ...flags]);
  }

  [Symbol.dispose](): void {
    this.source[Symbol.dispose]();
    this.target[Symbol.dispose]();
  }
}

function fill(folder: string, files: number, bytesEach: number): void {
  mkdirSync(folder, { recursive: true });
  const random = randomBytes(folder);
  for (let index = 0; index < files; index++) {
    writeFileSync(`${folder}/${index}`, random.bytes(bytesEach));
  }
}

describeWith({ root: true, programs: JUDGES }, "a target without room for both", () => {
  it.each([
    ["bytes", BYTES],
    ["inodes", INODES],
  ])("loses what is extra before it gets what is new (%s)", async (_what, which) => {
    using pair = new Pair(which);
    const receipt = receiptOf(await pair.copy("--existing", "mirror"));
    expect(receipt).toMatchObject({ exitCode: 0, deleted: which.extra[0] + 1 });
    await expectFaithful(pair.source.path, pair.target.path);
  });

  it.each([
    ["bytes", BYTES],
    ["inodes", INODES],
  ])("keeps it and is full when nothing may go (%s)", async (_what, which) => {
    using pair = new Pair(which);
    const ended = await pair.copy("--existing", "update");
    expect(ended.code, ended.stderr).toBe(30);
    expect(readdirSync(`${pair.target.path}/z/z/old`)).toHaveLength(which.extra[0]);
  });

  it("loses nothing beyond --max-delete, and all of it within", async () => {
    using pair = new Pair(BYTES);
    const refused = await pair.copy("--existing", "mirror", "--max-delete", "6");
    expect(refused.code, refused.stderr).toBe(34);
    expect(readdirSync(`${pair.target.path}/z/z/old`)).toHaveLength(6);
    const receipt = receiptOf(await pair.copy("--existing", "mirror", "--max-delete", "7"));
    expect(receipt).toMatchObject({ exitCode: 0, deleted: 7 });
  });
});
