/** Stage passes list what changes and end well; cutover passes see every change, also one after the file was read. */
import {
  appendFileSync,
  chmodSync,
  closeSync,
  existsSync,
  openSync,
  renameSync,
  rmSync,
  writeFileSync,
  writeSync,
} from "node:fs";
import { setTimeout as sleep } from "node:timers/promises";

import { afterAll, beforeAll, describe, expect, it } from "vitest";

import { initPki, startSource, startTarget } from "../agent/agent-pair.ts";
import { receiptOf, type Receipt } from "../agent/receipt.ts";
import { pvferry } from "../agent/run-pvferry.ts";
import { breakingRelay } from "../bed/breaking-relay.ts";
import { scratch, type Scratch } from "../bed/scratch.ts";
import { expectFaithful } from "../judge/expect-faithful.ts";
import { randomBytes } from "../volume/random-bytes.ts";

const MIB = 1024 * 1024;
const PACE = 25 * MIB;

const shared = scratch();
const pki = shared.at("pki");

beforeAll(async () => {
  await initPki(pki);
});

afterAll(() => shared[Symbol.dispose]());

/** Files of 2 MiB, which cross one after the other in order of their names, and small ones, which come last. */
function makeVolume(place: Scratch): string {
  const volume = place.directory("source");
  const random = randomBytes("passes");
  for (let number = 10; number < 22; number += 1) {
    writeFileSync(`${volume}/large-${number}`, random.bytes(2 * MIB));
  }
  for (const name of ["small-gone", "small-moved"]) writeFileSync(`${volume}/${name}`, name);
  return volume;
}

interface Run {
  readonly pass: "stage" | "cutover";
  /** Called once when the target has all of the first file, so that it was surely read; much is still to come. */
  readonly once?: (volume: string) => void;
  /** Called every millisecond from then on: what is read again takes little longer, as only its sums cross. */
  readonly always?: (volume: string) => void;
}

interface Outcome {
  readonly code: number | null;
  readonly receipt: Receipt;
  /** Paths of entries that the source found changed, in order, each as often as it is listed. */
  readonly changed: readonly (string | null)[];
}

/** One pass over one lane at a walking pace. */
async function runPass(place: Scratch, run: Run): Promise<Outcome> {
  const [volume, target] = [place.at("source"), place.directory("target")];
  const listening = await startTarget({ volume: target, pki });
  const wire = { targetPort: listening.port, everyMs: 0, breaks: [], bytesPerSecond: PACE };
  await using relay = await breakingRelay(wire);
  const flags = ["--compress", "none", "--lanes", "1", "--pass", run.pass];
  await using source = startSource({ volume, pki, port: relay.port, flags });
  while (!existsSync(`${target}/large-10`) && source.isRunning()) await sleep(5);
  run.once?.(volume);
  const timer = setInterval(() => run.always?.(volume), 1);
  const ended = await source.ended;
  clearInterval(timer);
  const receipt = receiptOf(ended);
  expect(receiptOf(await listening.agent.ended)).toEqual(receipt);
  expect(receipt.pass.kind).toBe(run.pass);
  const changed = receipt.items.filter(({ class: itemClass }) => itemClass === "changed");
  return { code: ended.code, receipt, changed: changed.map(({ path }) => path) };
}

/** Appends, changes in place, creates, deletes and renames. */
function writer(): (volume: string) => void {
  let turn = 0;
  return (volume) => {
    turn += 1;
    appendFileSync(`${volume}/large-16`, "more");
    const inPlace = openSync(`${volume}/large-17`, "r+");
    writeSync(inPlace, `turn ${turn}`, turn * 64);
    closeSync(inPlace);
    writeFileSync(`${volume}/new-${turn}`, "new");
    rmSync(`${volume}/small-gone`, { force: true });
    if (existsSync(`${volume}/small-moved`)) {
      renameSync(`${volume}/small-moved`, `${volume}/elsewhere`);
    }
  };
}

describe("a stage pass", () => {
  it("beside a writer ends well, names what changed, and is followed by a cutover", async () => {
    using place = scratch();
    const volume = makeVolume(place);
    const staged = await runPass(place, { pass: "stage", always: writer() });
    expect(staged).toMatchObject({
      code: 0,
      changed: ["large-16", "large-17", "small-gone", "small-moved"],
    });
    expect(staged.receipt.message).toMatch(/^The stage pass is finished: .*; 4 entries changed/);
    expect(staged.receipt.next).toContain("--pass cutover");
    expect(staged.receipt.roots.target).toEqual(staged.receipt.roots.source);
    expect(existsSync(`${place.at("target")}/.pvferry`)).toBe(true);

    const after = await runPass(place, { pass: "cutover" });
    expect(after).toMatchObject({ code: 0, changed: [] });
    await expectFaithful(volume, place.at("target"));
  });
});

describe("a cutover pass", () => {
  it("beside a writer is 42, names each entry once, and can be run again", async () => {
    using place = scratch();
    makeVolume(place);
    const first = await runPass(place, { pass: "cutover", always: writer() });
    expect(first.code).toBe(42);
    const names = ["", "elsewhere", "large-16", "large-17", "new-1", "small-gone", "small-moved"];
    expect(first.changed).toEqual(expect.arrayContaining(names));
    expect(new Set(first.changed).size).toBe(first.changed.length);
    expect(existsSync(`${place.at("target")}/.pvferry`)).toBe(true);

    expect(await runPass(place, { pass: "cutover" })).toMatchObject({ code: 0, changed: [] });
    await expectFaithful(place.at("source"), place.at("target"));
    expect(existsSync(`${place.at("target")}/.pvferry`)).toBe(false);
  });

  it.each<[string, (volume: string) => void, readonly string[]]>([
    ["is written to", (volume) => appendFileSync(`${volume}/large-10`, "more"), ["large-10"]],
    ["gets another mode", (volume) => chmodSync(`${volume}/large-10`, 0o600), ["large-10"]],
    [
      "gets another name",
      (volume) => renameSync(`${volume}/large-10`, `${volume}/other`),
      ["", "other"],
    ],
    ["is deleted", (volume) => rmSync(`${volume}/large-10`), [""]],
  ])("is 42 when a file that was read %s", async (_what, once, paths) => {
    using place = scratch();
    makeVolume(place);
    expect(await runPass(place, { pass: "cutover", once })).toMatchObject({
      code: 42,
      changed: paths,
    });
  });

  it("is what copy makes, too: a stage pass is not over, and says so", async () => {
    using place = scratch();
    makeVolume(place);
    const copy = ["copy", place.at("source"), place.at("target")];
    const staged = await pvferry([...copy, "--pass", "stage"]);
    expect(staged.code, staged.stderr).toBe(0);
    expect(staged.stderr).toMatch(/^ {2}stage pass {3}number 1, session [0-9a-f]{32}$/m);
    expect(staged.stderr).toMatch(
      /\nStop the application, then run again with --pass cutover\.\n$/,
    );
    const over = await pvferry(copy);
    expect(over.code, over.stderr).toBe(0);
    expect(over.stderr).toMatch(/^ {2}cutover pass number 2, session [0-9a-f]{32}$/m);
    expect(existsSync(`${place.at("target")}/.pvferry`)).toBe(false);
  });
});
