/** Passes over volumes that were copied before: what they send, what they leave alone, and what they refuse. */
import { existsSync, mkdirSync, readFileSync, rmSync, utimesSync, writeFileSync } from "node:fs";

import { describe, expect, it } from "vitest";

import { initPki, startSource, startTarget } from "../agent/agent-pair.ts";
import { tracedCalls, tracing } from "../agent/opened-files.ts";
import { receiptOf, type Receipt } from "../agent/receipt.ts";
import { pvferry } from "../agent/run-pvferry.ts";
import { describeWith } from "../bed/needs.ts";
import { scratch, type Scratch } from "../bed/scratch.ts";
import { noiseCommand, shell } from "../bed/shell.ts";
import { expectFaithful } from "../judge/expect-faithful.ts";
import { writePlainTree } from "../volume/plain.ts";

const MIB = 1024 * 1024;
const JUDGE = { programs: ["rsync", "getfattr", "getfacl"] };

async function copy(place: Scratch, ...flags: string[]): Promise<Receipt> {
  const args = ["copy", place.at("source"), place.at("target"), "--json", ...flags];
  const ended = await pvferry(args);
  const receipt = receiptOf(ended);
  expect(receipt.exitCode, receipt.message).toBe(0);
  return receipt;
}

/** Two folders with things in both, and in each what the other one has not. */
function furnish(place: Scratch): readonly [source: string, target: string] {
  const [source, target] = [place.directory("source"), place.directory("target")];
  for (const side of [source, target]) {
    mkdirSync(`${side}/both`);
    writeFileSync(`${side}/both/file`, "the same");
  }
  writeFileSync(`${source}/new`, "new");
  writeFileSync(`${target}/old`, "old");
  mkdirSync(`${target}/both/gone/deep`, { recursive: true });
  writeFileSync(`${target}/both/gone/deep/file`, "gone");
  return [source, target];
}

describeWith(JUDGE, "passes of one transfer", () => {
  it("send what has changed, remove what is gone, and end with a cutover", async () => {
    using place = scratch();
    const [source, target] = [place.directory("source"), place.directory("target")];
    await writePlainTree(source, { largeFiles: 2, largeBytes: 3 * MIB, smallFiles: 200 });
    const first = await copy(place, "--pass", "stage");
    expect(first.knownBy).toMatchObject({ compared: 0, assumed: 0 });
    expect(existsSync(`${target}/.pvferry`)).toBe(true);
    // Made seconds before: their times prove nothing, so that both sides read them and nothing crosses.
    const second = await copy(place, "--pass", "stage");
    expect(second).toMatchObject({ movedBytes: 0, deleted: 0 });
    expect(second.knownBy.streamed).toBe(0);
    writeFileSync(`${source}/changed`, "twelve bytes");
    mkdirSync(`${source}/folder`);
    const third = await copy(place, "--pass", "stage");
    expect(third.movedBytes).toBe(12);
    rmSync(`${source}/changed`);
    rmSync(`${source}/folder`, { recursive: true });
    const last = await copy(place);
    expect(last).toMatchObject({ movedBytes: 0, deleted: 2 });
    await expectFaithful(source, target);
    expect(existsSync(`${target}/.pvferry`)).toBe(false);
  });
});

describe("a target that holds something", () => {
  it("is refused, and nothing is touched", async () => {
    using place = scratch();
    const [source, target] = furnish(place);
    const ended = await pvferry(["copy", source, target]);
    expect(ended.code).toBe(31);
    expect(ended.stderr).toMatch(/not empty.*--existing/s);
    expect(existsSync(`${target}/.pvferry`)).toBe(false);
  });

  it("is updated with --existing update: what it has besides stays", async () => {
    using place = scratch();
    const [, target] = furnish(place);
    const receipt = await copy(place, "--existing", "update");
    expect(receipt.deleted).toBe(0);
    expect(readFileSync(`${target}/new`, "utf8")).toBe("new");
    expect(readFileSync(`${target}/old`, "utf8")).toBe("old");
    expect(existsSync(`${target}/both/gone/deep/file`)).toBe(true);
  });

  it("is read on both sides with --compare digest, whatever its files look like", async () => {
    using place = scratch();
    const [source, target] = furnish(place);
    const long = new Date("2001-01-01T00:00:00Z");
    for (const side of [source, target]) utimesSync(`${side}/both/file`, long, long);
    const trusting = await copy(place, "--existing", "mirror");
    expect(trusting.knownBy).toMatchObject({ compared: 0, assumed: 1 });
    expect(trusting.roots.target.content).toBeNull();
    // The same size and time, other bytes.
    writeFileSync(`${target}/both/file`, "the SAME");
    utimesSync(`${target}/both/file`, long, long);
    const reading = await copy(place, "--existing", "mirror", "--compare", "digest");
    expect(reading.knownBy).toMatchObject({ streamed: 1, assumed: 0 });
    expect(reading.movedBytes).toBe("the same".length);
    expect(reading.roots.target.content).toMatch(/^[0-9a-f]{64}$/);
    expect(readFileSync(`${target}/both/file`, "utf8")).toBe("the same");
  });

  it("becomes what the source is with --existing mirror, within --max-delete", async () => {
    using place = scratch();
    const [source, target] = furnish(place);
    const args = ["copy", source, target, "--existing", "mirror"];
    const refused = await pvferry([...args, "--max-delete", "3"]);
    expect(refused.code).toBe(34);
    expect(refused.stderr).toMatch(/4 entries .*--max-delete 3/s);
    expect(existsSync(`${target}/old`)).toBe(true);
    expect(existsSync(`${target}/both/gone/deep/file`)).toBe(true);
    const receipt = await copy(place, "--existing", "mirror", "--max-delete", "4");
    expect(receipt.deleted).toBe(4);
    await expectFaithful(source, target);
  });

  it("is not emptied for an empty source, unless that is said", async () => {
    using place = scratch();
    const [, target] = furnish(place);
    const empty = place.directory("empty");
    const args = ["copy", empty, target, "--existing", "mirror"];
    const refused = await pvferry(args);
    expect(refused.code).toBe(34);
    expect(refused.stderr).toContain("--allow-empty-source");
    expect(existsSync(`${target}/old`)).toBe(true);
    const meant = await pvferry([...args, "--allow-empty-source"]);
    expect(meant.code, meant.stderr).toBe(0);
    expect(existsSync(`${target}/old`)).toBe(false);
  });
});

// NFS and FUSE keep a replaced file that is open under another name until it is closed: the directory's time would change.
describeWith({ programs: ["strace"] }, "a file that is replaced", () => {
  it("is closed before another one gets its name", async () => {
    using place = scratch();
    const [from, to] = [place.directory("source"), place.directory("target")];
    for (const [at, seed] of [
      [from, "new"],
      [to, "old"],
    ] as const) {
      await shell(at, `${noiseCommand(seed, 4 * MIB)} > large`);
    }
    const pki = await initPki(place.at("pki"));
    const trace = place.at("trace");
    const { agent, port } = await startTarget({
      volume: to,
      pki,
      flags: ["--existing", "update"],
      run: { wrapper: tracing(trace, ["openat2", "close", "renameat2", "?renameat", "?rename"]) },
    });
    const source = await startSource({ volume: from, pki, port }).ended;
    expect(source.code, source.stderr).toBe(0);
    expect((await agent.ended).code).toBe(0);

    let open = 0;
    const renamed: number[] = [];
    const name = `<${to}/large`;
    for (const [, call] of tracedCalls(readFileSync(trace, "latin1"))) {
      // One that is merely pointed at (O_PATH) is not open.
      if (call.startsWith("openat2") && call.endsWith(`${name}>`)) open += 1;
      else if (call.startsWith("close(") && call.includes(name)) open -= 1;
      else if (call.startsWith("rename") && call.includes('"large"')) renamed.push(open);
    }
    expect(renamed).toEqual([0]);
  });
});
