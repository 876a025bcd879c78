/** copy as a command: what it prints and writes, and that its two processes stand and fall together. */
import { mkdirSync, readdirSync, readFileSync, statSync, writeFileSync } from "node:fs";
import { setTimeout as sleep } from "node:timers/promises";

import { describe, expect, it } from "vitest";

import { familyOf, stillRunning } from "../agent/processes.ts";
import { receiptOf } from "../agent/receipt.ts";
import { pvferry, startPvferry, type Agent } from "../agent/run-pvferry.ts";
import { scratch, type Scratch } from "../bed/scratch.ts";
import { writePlainTree } from "../volume/plain.ts";

const MIB = 1024 * 1024;
const WITHIN_MS = 2000;
/** What a machine busy with other tests may add. */
const SLACK_MS = 1500;

function smallVolume(place: Scratch): string {
  const volume = place.directory("from");
  mkdirSync(`${volume}/folder`, { mode: 0o751 });
  writeFileSync(`${volume}/folder/file`, "contents");
  return volume;
}

describe("what copy says", () => {
  it("is with --json one receipt on stdout, the same as in --receipt, and no word more with -q", async () => {
    using place = scratch();
    const receiptFile = place.at("receipt.json");
    const itemFile = place.at("items.ndjson");
    const flags = ["--json", "-q", "--receipt", receiptFile, "--items", itemFile];
    const ended = await pvferry(["copy", ...flags, smallVolume(place), place.at("to")]);
    expect({ code: ended.code, stderr: ended.stderr }).toEqual({ code: 0, stderr: "" });
    expect(JSON.parse(readFileSync(receiptFile, "utf8"))).toEqual(JSON.parse(ended.stdout));
    expect(receiptOf(ended)).toMatchObject({ exitCode: 0, items: [] });
    expect(readFileSync(itemFile, "utf8")).toBe("");
  });

  it("is without it words on stderr, and nothing on stdout", async () => {
    using place = scratch();
    const ended = await pvferry(["copy", smallVolume(place), place.at("to")]);
    expect({ code: ended.code, stdout: ended.stdout }).toEqual({ code: 0, stdout: "" });
    expect(ended.stderr).toMatch(/^ {2}content {6}[0-9a-f]{64} \(both sides\)$/m);
  });

  it("does not change with trailing slashes: the contents go into the target", async () => {
    using place = scratch();
    const volume = smallVolume(place);
    const ended = await pvferry(["copy", `${volume}/`, `${place.at("new/to")}//`]);
    expect(ended.code, ended.stderr).toBe(0);
    expect(readdirSync(place.at("new/to"))).toEqual(["folder"]);
    expect(statSync(place.at("new/to/folder")).mode & 0o777).toBe(0o751);
    expect(statSync(place.at("new/to")).mode).toBe(statSync(volume).mode);
  });

  it("is 30 when the receipt cannot be written although all was kept", async () => {
    using place = scratch();
    const flags = ["--receipt", "/dev/full"];
    const ended = await pvferry(["copy", ...flags, smallVolume(place), place.at("to")]);
    expect(ended.code).toBe(30);
    expect(ended.stderr).toContain("Cannot write the receipt to /dev/full");
  });
});

/** A copy that has seconds to go. */
async function halfway(place: Scratch): Promise<Agent> {
  const tree = { largeFiles: 8, largeBytes: 100 * MIB, smallFiles: 1000 };
  await writePlainTree(place.directory("from"), tree);
  const agent = startPvferry(["copy", "--json", place.at("from"), place.at("to")]);
  while (familyOf(agent.pid).length < 2) await sleep(20);
  await sleep(700);
  return agent;
}

async function goneAfter(
  pids: readonly number[],
  milliseconds: number,
): Promise<readonly number[]> {
  const end = performance.now() + milliseconds;
  while (stillRunning(pids).length > 0 && performance.now() < end) await sleep(20);
  return stillRunning(pids);
}

describe("copy's two processes", () => {
  it("end together when the first is killed outright; another copy takes up what is there", async () => {
    using place = scratch();
    await using agent = await halfway(place);
    const family = familyOf(agent.pid);
    expect(family).toHaveLength(2);
    agent.kill("SIGKILL");
    expect(await goneAfter(family, WITHIN_MS + SLACK_MS)).toEqual([]);
    const again = await pvferry(["copy", place.at("from"), place.at("to")]);
    expect(again.code, again.stderr).toBe(0);
  });

  it("end together when the second is killed outright: 24, and what happened", async () => {
    using place = scratch();
    await using agent = await halfway(place);
    const family = familyOf(agent.pid);
    for (const pid of family.filter((each) => each !== agent.pid)) process.kill(pid, "SIGKILL");
    const killed = performance.now();
    const ended = await agent.ended;
    // No new session is tried with a target that nobody starts again.
    expect(performance.now() - killed).toBeLessThan(WITHIN_MS + SLACK_MS);
    expect(ended.code, ended.stderr).toBe(24);
    expect(ended.stderr).toContain("ended unexpectedly (SIGKILL)");
    expect(stillRunning(family)).toEqual([]);
  });

  it("tell the reason of the one that knows it", async () => {
    using place = scratch();
    await using agent = await halfway(place);
    const [, target = 0] = familyOf(agent.pid);
    process.kill(target, "SIGTERM");
    const ended = await agent.ended;
    expect(ended.code, ended.stderr).toBe(143);
    expect(ended.stderr).toContain("Terminated.");
  });
});
