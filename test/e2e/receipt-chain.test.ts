/** Receipts of the passes of one transfer are chained: b3sum says of each what the next one holds. */
import { execFileSync } from "node:child_process";
import { appendFileSync, mkdirSync, readFileSync, writeFileSync } from "node:fs";

import { afterAll, beforeAll, expect, it } from "vitest";

import { initPki, startSource, startTarget } from "../agent/agent-pair.ts";
import { receiptOf, type Receipt } from "../agent/receipt.ts";
import { pvferry } from "../agent/run-pvferry.ts";
import { describeWith } from "../bed/needs.ts";
import { scratch } from "../bed/scratch.ts";

const place = scratch();
let pki = "";
let passes = 0;

beforeAll(async () => {
  pki = await initPki(place.at("pki"));
  const volume = place.directory("from");
  mkdirSync(`${volume}/empty`);
  for (let number = 0; number < 30; number += 1) writeFileSync(`${volume}/${number}`, `${number}`);
  place.directory("to");
});

afterAll(() => place[Symbol.dispose]());

interface Pass {
  readonly code: number | null;
  readonly receipt: Receipt;
  readonly digest: string;
}

/** One pass; both sides' receipt files are the same, byte by byte. */
async function runPass(kind: "stage" | "cutover", ...targetFlags: string[]): Promise<Pass> {
  passes += 1;
  const [ours, theirs] = [place.at(`source-${passes}.json`), place.at(`target-${passes}.json`)];
  const flags = ["--receipt", theirs, ...targetFlags];
  const { agent, port } = await startTarget({ volume: place.at("to"), pki, flags });
  const sourceFlags = ["--pass", kind, "--receipt", ours];
  const source = startSource({ volume: place.at("from"), pki, port, flags: sourceFlags });
  const [ended] = await Promise.all([source.ended, agent.ended]);
  expect(readFileSync(theirs, "utf8")).toBe(readFileSync(ours, "utf8"));
  const receipt = receiptOf(ended);
  expect(JSON.parse(readFileSync(ours, "utf8"))).toEqual(receipt);
  return { code: ended.code, receipt, digest: b3sum(ours) };
}

function b3sum(file: string): string {
  return execFileSync("b3sum", ["--no-names", file], { encoding: "utf8" }).trim();
}

async function journal(): Promise<{ stdout: string; json: { passes: { receipt: string }[] } }> {
  const { stdout } = await pvferry(["journal", place.at("to")]);
  const json = await pvferry(["journal", "--json", place.at("to")]);
  return { stdout, json: JSON.parse(json.stdout) as { passes: { receipt: string }[] } };
}

describeWith({ programs: ["b3sum"] }, "the chain of receipts", () => {
  it("names in each the one before, and b3sum agrees", async () => {
    const first = await runPass("stage");
    expect(first.receipt).toMatchObject({ exitCode: 0, pass: { number: 1 }, previous: null });

    appendFileSync(place.at("from/7"), "more");
    const second = await runPass("stage");
    expect(second.receipt).toMatchObject({ pass: { number: 2 }, previous: first.digest });

    const { stdout, json } = await journal();
    expect(json.passes.map(({ receipt }) => receipt)).toEqual([first.digest, second.digest]);
    expect(stdout).toContain(`pass 2       stage, ended `);

    // A receipt that somebody has changed is found out by the next one.
    const file = place.at("source-1.json");
    writeFileSync(file, readFileSync(file, "utf8").replace('"exitCode": 0', '"exitCode": 1'));
    expect(b3sum(file)).not.toBe(second.receipt.previous);

    const third = await runPass("cutover");
    expect(third.code).toBe(0);
    expect(third.receipt).toMatchObject({ pass: { number: 3 }, previous: second.digest });
    // The copy is finished: nothing comes after it.
    expect((await pvferry(["journal", place.at("to")])).code).toBe(31);
  });
});
