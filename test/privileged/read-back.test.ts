/**
 * --verify disk finds what a disk did not keep. Bits are flipped in the file beneath a mounted file system, right after
 * the target has synced and before it reads back: it is stopped in between.
 */
import {
  closeSync,
  existsSync,
  openSync,
  readdirSync,
  readFileSync,
  writeFileSync,
  writeSync,
} from "node:fs";
import process from "node:process";
import { setTimeout as sleep } from "node:timers/promises";

import { afterAll, beforeAll, expect, it } from "vitest";

import { initPki, startSource, startTarget } from "../agent/agent-pair.ts";
import { familyOf } from "../agent/processes.ts";
import { receiptOf, type Receipt } from "../agent/receipt.ts";
import { pvferry, type Ended } from "../agent/run-pvferry.ts";
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

/** Flips a bit of a mark where it lies on the disk; how many places there were. */
function flipBit(bed: Bed, mark: Buffer): number {
  const bytes = readFileSync(bed.image);
  const at = bytes.indexOf(mark);
  if (at < 0) return 0;
  const image = openSync(bed.image, "r+");
  writeSync(image, Buffer.of((bytes[at] ?? 0) ^ 1), 0, 1, at);
  closeSync(image);
  return 1;
}

interface Copied {
  readonly ended: Ended;
  readonly receipt: Receipt;
  readonly flipped: { readonly small: number; readonly large: number };
}

/**
 * A copy whose target is stopped each time when it has synced anything (strace sends SIGSTOP with the call, and it stops
 * when the call is done). Meanwhile a bit of each mark is flipped that is on the disk by then, these many times at most.
 */
async function copyWhileFlipping(bed: Bed, mode: string, most: number): Promise<Copied> {
  const calls = "syncfs,fdatasync,fsync";
  const stops = ["-e", `trace=${calls}`, "-e", `inject=${calls}:signal=SIGSTOP`];
  const wrapper = ["strace", "-f", "-qq", "-o", "/dev/null", ...stops];
  const flags = ["--checkpoint", "0s"];
  const { agent: target, port } = await startTarget({
    volume: bed.path,
    pki,
    flags,
    run: { wrapper },
  });
  await using source = startSource({ volume, pki, port, flags: ["--verify", mode] });
  const flipped = { small: 0, large: 0 };
  while (target.isRunning()) {
    const [, pid] = familyOf(target.pid);
    if (pid !== undefined && isStopped(pid)) {
      for (const mark of ["small", "large"] as const) {
        if (flipped[mark] < most) flipped[mark] += flipBit(bed, marks[mark]);
      }
      goOn(pid);
    }
    await sleep(5);
  }
  const [ended] = await Promise.all([target.ended, source.ended]);
  return { ended, receipt: receiptOf(ended), flipped };
}

/** A process that ends looks stopped for a moment, since strace is told first. */
function goOn(pid: number): void {
  try {
    process.kill(pid, "SIGCONT");
  } catch (error) {
    if (Reflect.get(Object(error), "code") !== "ESRCH") throw error;
  }
}

/** All threads are: whatever they were asking of the disk is done. */
function isStopped(pid: number): boolean {
  try {
    const threads = readdirSync(`/proc/${pid}/task`);
    return threads.every((thread) =>
      /^State:\s+[Tt]/m.test(readFileSync(`/proc/${pid}/task/${thread}/status`, "latin1")),
    );
  } catch {
    return false;
  }
}

function itemsOf({ receipt }: Copied, itemClass: string): readonly (string | null)[] {
  return receipt.items.filter((item) => item.class === itemClass).map(({ path }) => path);
}

describeWith({ root: true, programs: ["strace", "mkfs.ext4"] }, "--verify", () => {
  it("stream knows nothing of bits that the disk flips later", async () => {
    using bed = mountFilesystem({ kind: "ext4", mebibytes: 32 });
    const copied = await copyWhileFlipping(bed, "stream", 1);
    expect(copied.flipped).toEqual({ small: 1, large: 1 });
    expect(copied.receipt.exitCode).toBe(0);
    bed.dropCaches();
    const same = readFileSync(`${bed.path}/small`).equals(readFileSync(`${volume}/small`));
    expect(same, "the flipped bit is there").toBe(false);
  });

  it("disk finds them, writes again what is damaged, and says so", async () => {
    using bed = mountFilesystem({ kind: "ext4", mebibytes: 32 });
    const copied = await copyWhileFlipping(bed, "disk", 1);
    expect(copied.flipped).toEqual({ small: 1, large: 1 });
    expect(copied.receipt.exitCode, copied.ended.stderr).toBe(0);
    expect(itemsOf(copied, "repaired")).toEqual(["large", "small"]);
    expect(copied.receipt).toMatchObject({
      knownBy: { streamed: 0, readBack: 22 },
      verify: { mode: "disk", readBack: { filesystem: "ext4", method: "direct", repaired: 2 } },
    });
    bed.dropCaches();
    await expectFaithful(volume, bed.path);
  });

  it("disk gives up what is damaged again, by name: 43", async () => {
    using bed = mountFilesystem({ kind: "ext4", mebibytes: 32 });
    const copied = await copyWhileFlipping(bed, "disk", 2);
    expect(copied.flipped).toEqual({ small: 2, large: 2 });
    expect(copied.receipt.exitCode).toBe(43);
    expect(itemsOf(copied, "corrupted")).toEqual(["large", "small"]);
    expect(copied.receipt.message).toContain("2 files could not be read back");
    expect(existsSync(`${bed.path}/small`)).toBe(false);
    expect(existsSync(`${bed.path}/large`)).toBe(false);
    // Another try of the same transfer finds what is missing, and nothing of what was damaged.
    const again = await copyWhileFlipping(bed, "disk", 0);
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
