/** The journal of an unfinished copy, its lock, and the command that shows it. */
import { execFileSync } from "node:child_process";
import { cpSync, existsSync, readdirSync, readFileSync, statSync, writeFileSync } from "node:fs";
import { setTimeout as sleep } from "node:timers/promises";

import { afterAll, beforeAll, describe, expect, it } from "vitest";

import { initPki, startSource, startTarget } from "../agent/agent-pair.ts";
import { receiptOf } from "../agent/receipt.ts";
import { pvferry, type Agent } from "../agent/run-pvferry.ts";
import { scratch, type Scratch } from "../bed/scratch.ts";
import { expectFaithful } from "../judge/expect-faithful.ts";
import { writePlainTree } from "../volume/plain.ts";

const MIB = 1024 * 1024;
const place = scratch();
let pki = "";

/** A target that was killed in the middle of its copy. */
let interrupted = "";

beforeAll(async () => {
  pki = await initPki(place.at("pki"));
  await writePlainTree(place.directory("from"), {
    largeFiles: 6,
    largeBytes: 100 * MIB,
    smallFiles: 2_000,
  });
  interrupted = place.directory("interrupted");
  await using copy = await running(interrupted);
  copy.target.kill("SIGKILL");
  copy.source.kill("SIGKILL");
  await Promise.all([copy.target.ended, copy.source.ended]);
});

afterAll(() => place[Symbol.dispose]());

interface Copy extends AsyncDisposable {
  readonly target: Agent;
  readonly source: Agent;
}

/** Both agents, stopped in their tracks when a first file has been copied. */
async function running(volume: string, ...flags: string[]): Promise<Copy> {
  const { agent: target, port } = await startTarget({ volume, pki, flags });
  const source = startSource({ volume: place.at("from"), pki, port });
  while (copiedFile(volume) === null) await sleep(2);
  target.kill("SIGSTOP");
  const dispose = async (): Promise<void> => {
    for (const agent of [target, source]) agent.kill("SIGKILL");
    await Promise.all([target.ended, source.ended]);
  };
  return { target, source, [Symbol.asyncDispose]: dispose };
}

function copyOf(volume: string, bed: Scratch): string {
  cpSync(volume, bed.at("copy"), { recursive: true, preserveTimestamps: true });
  return bed.at("copy");
}

function damage(volume: string): void {
  const file = `${volume}/.pvferry/journal`;
  const bytes = readFileSync(file);
  bytes[12] = (bytes[12] ?? 0) ^ 1;
  writeFileSync(file, bytes);
}

/** One that is there and whole; what a target that still writes makes and removes in its own folder is no concern. */
function copiedFile(volume: string): string | null {
  const others = ["-path", `${volume}/.pvferry`, "-prune"];
  const whole = ["-type", "f", "-size", "+0", "-print0", "-quit"];
  const args = [volume, "-ignore_readdir_race", ...others, "-o", ...whole];
  return execFileSync("find", args, { encoding: "utf8" }).split("\0")[0] || null;
}

/** Other bytes in a file that is there, with its size and its time. */
function spoil(volume: string, times: string): void {
  const file = copiedFile(volume);
  if (file === null) throw new Error("nothing was copied");
  execFileSync("touch", ["-r", file, times]);
  writeFileSync(file, Buffer.alloc(statSync(file).size, "x"));
  execFileSync("touch", ["-r", times, file]);
}

async function targetEnds(volume: string, ...flags: string[]): ReturnType<typeof pvferry> {
  const { agent } = await startTarget({ volume, pki, flags });
  return agent.ended;
}

describe("the lock of a target volume", () => {
  it("refuses a second agent with 33, and goes with its holder however that ends", async () => {
    const volume = place.directory("locked");
    await using copy = await running(volume);
    const second = await targetEnds(volume, "--discard-journal");
    expect(second.code).toBe(33);
    expect(second.stderr).toContain(`${volume} is in use by another pvferry agent (process `);
    expect(second.stderr).toContain("End what uses it");
    copy.target.kill("SIGKILL");
    await copy.target.ended;
    const { agent: third } = await startTarget({ volume, pki });
    await third.says(/Listening on/);
    third.kill("SIGTERM");
    expect((await third.ended).code).toBe(143);
  });
});

describe("a journal that is not this transfer's, or not whole", () => {
  it("is refused with 35 before anything is listened on, and stays", async () => {
    using bed = scratch();
    const volume = copyOf(interrupted, bed);
    const other = await initPki(bed.at("pki"));
    const foreign = await startTarget({ volume, pki: other });
    const ended = await foreign.agent.ended;
    expect(ended.code).toBe(35);
    expect(ended.stderr).toContain("belongs to the unfinished transfer");
    expect(ended.stderr).toContain("--discard-journal");
    damage(volume);
    const before = readFileSync(`${volume}/.pvferry/journal`);
    const damaged = await targetEnds(volume);
    expect(damaged.code).toBe(35);
    expect(damaged.stderr).toContain(`${volume}/.pvferry/journal is damaged`);
    expect(damaged.stderr).not.toContain("Listening");
    expect(readFileSync(`${volume}/.pvferry/journal`)).toEqual(before);
  });

  it("gives way with --discard-journal: all is compared by content, and what is extra goes", async () => {
    using bed = scratch();
    const volume = copyOf(interrupted, bed);
    damage(volume);
    spoil(volume, bed.at("times"));
    writeFileSync(`${volume}/extra`, "of nobody");
    const { agent, port } = await startTarget({ volume, pki, flags: ["--discard-journal"] });
    const source = startSource({ volume: place.at("from"), pki, port });
    const [received, sent] = await Promise.all([agent.ended, source.ended]);
    expect([received.code, sent.code], received.stderr + sent.stderr).toEqual([0, 0]);
    expect(receiptOf(received)).toMatchObject({ exitCode: 0, items: [] });
    await expectFaithful(place.at("from"), volume);
    expect(existsSync(`${volume}/.pvferry`)).toBe(false);
  });

  it("is no leave to write into a volume without one", async () => {
    using bed = scratch();
    writeFileSync(`${bed.directory("given")}/data`, "somebody's");
    const refused = await targetEnds(bed.at("given"), "--discard-journal");
    expect(refused.code).toBe(31);
    expect(readdirSync(bed.at("given"))).toEqual(["data"]);
  });
});

describe("pvferry journal", () => {
  it("shows what a copy has recorded, also while it runs", async () => {
    const volume = place.directory("shown");
    await using copy = await running(volume, "--checkpoint", "100ms");
    copy.target.kill("SIGCONT");
    const checkpoints = async (): Promise<string> => {
      const { stdout } = await pvferry(["journal", volume]);
      return stdout;
    };
    await expect.poll(checkpoints, { timeout: 20_000 }).toMatch(/^checkpoints +[1-9]/m);
    copy.target.kill("SIGSTOP");
    const shown = await pvferry(["journal", volume]);
    expect(shown.code, shown.stderr).toBe(0);
    expect(shown.stdout).toMatch(/^transfer +[^ /]+\/volume$/m);
    expect(shown.stdout).toMatch(/^in use by +process \d+ on /m);
    expect(shown.stdout).toMatch(/^sessions +1; the last began 20[-\dT:.]+Z with pvferry \d/m);
    expect(shown.stdout).toMatch(/: what changed before 20[-\dT:.]+Z is on disk$/m);
    const json = await pvferry(["journal", "--json", volume]);
    expect(JSON.parse(json.stdout)).toMatchObject({
      sessions: [{ epoch: 1, doubt: null }],
      passes: [],
      doubt: null,
    });
  });

  it("tells who writes to the volume, and that nobody does", async () => {
    const shown = await pvferry(["journal", interrupted]);
    expect(shown.stdout).toMatch(/^in use by +nobody$/m);
  });

  it("ends with 35 where it is damaged, and says how far it is readable", async () => {
    using bed = scratch();
    const volume = copyOf(interrupted, bed);
    await secondSession(volume);
    const file = `${volume}/.pvferry/journal`;
    const bytes = readFileSync(file);
    const first = headerLength(bytes);
    bytes[first + 10] = (bytes[first + 10] ?? 0) ^ 1;
    writeFileSync(file, bytes);
    const damaged = await pvferry(["journal", "--json", volume]);
    expect(damaged.code).toBe(35);
    expect(JSON.parse(damaged.stdout)).toMatchObject({ error: { code: 35, name: "journal" } });
    expect(damaged.stderr).toContain(
      `is damaged at byte ${first}; readable before that: 0 sessions`,
    );
  });

  it("ends with 31 where there is none", async () => {
    using bed = scratch();
    const none = await pvferry(["journal", bed.directory("empty")]);
    expect(none.code).toBe(31);
    expect(none.stderr).toContain("has no journal");
    expect((await pvferry(["journal", bed.at("missing")])).code).toBe(31);
  });
});

/** docs/journal.md, "Header". */
function headerLength(bytes: Buffer): number {
  return 8 + 2 + 16 + 2 + bytes.readUInt16BE(26) + 8;
}

/** Another session begins, and is killed as well. */
async function secondSession(volume: string): Promise<void> {
  const before = readFileSync(`${volume}/.pvferry/journal`).length;
  const { agent: target, port } = await startTarget({ volume, pki });
  const source = startSource({ volume: place.at("from"), pki, port });
  while (readFileSync(`${volume}/.pvferry/journal`).length === before) await sleep(2);
  for (const agent of [target, source]) agent.kill("SIGKILL");
  await Promise.all([target.ended, source.ended]);
}
