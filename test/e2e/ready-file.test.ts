/** Where a side can be reached, in a file: there while it listens, and enough for the other side to find it. */
import { existsSync, readFileSync, readdirSync, writeFileSync } from "node:fs";

import { afterAll, beforeAll, describe, expect, it } from "vitest";

import { initPki } from "../agent/agent-pair.ts";
import { pvferry, startPvferry, type Agent } from "../agent/run-pvferry.ts";
import { scratch } from "../bed/scratch.ts";

const place = scratch();
const pki = place.at("pki");
const volume = place.directory("volume");
const folder = place.directory("ready");
const file = `${folder}/agent`;

beforeAll(async () => {
  await initPki(pki);
  writeFileSync(`${volume}/file`, "the data");
});

afterAll(() => place[Symbol.dispose]());

interface Ready {
  readonly endpoint: string;
  readonly host: string;
  readonly port: number;
  readonly addresses: readonly string[];
  readonly via: readonly string[];
}

function start(side: string, ...flags: readonly string[]): Agent {
  return startPvferry([side, ...flags, "--tls", `${pki}/${side === "source" ? side : "target"}`]);
}

/** Once it is there it is whole. */
async function readyWhenThere(): Promise<Ready> {
  await expect.poll(() => existsSync(file), { timeout: 60_000 }).toBe(true);
  return JSON.parse(readFileSync(file, "utf8")) as Ready;
}

function expectGone(): void {
  expect(readdirSync(folder)).toEqual([]);
}

describe("a ready file", () => {
  it("of a target leads its source to it, and goes with it", async () => {
    writeFileSync(file, "of an earlier one");
    const copy = place.directory("copy");
    const listens = ["--listen", "127.0.0.1:0", "--ready-file", file];
    await using target = start("target", copy, ...listens);
    await target.says(/^Listening on/m);
    const ready = await readyWhenThere();
    const address = { host: "127.0.0.1", port: ready.port };
    const endpoint = `127.0.0.1:${ready.port}`;
    expect(ready).toEqual({ endpoint, via: [], ...address, addresses: ["127.0.0.1"] });
    expect(target.stderr()).toContain(`Listening on ${endpoint}\n`);
    await using source = start("source", volume, "--to-file", file);
    for (const { ended } of [source, target]) {
      const { code, stderr } = await ended;
      expect(code, stderr).toBe(0);
    }
    expect(readFileSync(`${copy}/file`, "utf8")).toBe("the data");
    expectGone();
  });

  it("of a source that listens leads its target to it", async () => {
    const listens = ["--listen", "127.0.0.1:0", "--ready-file", file];
    await using source = start("source", volume, ...listens);
    await readyWhenThere();
    await using target = start("target", place.directory("dialled"), "--to-file", file);
    for (const { ended } of [source, target]) {
      const { code, stderr } = await ended;
      expect(code, stderr).toBe(0);
    }
    expectGone();
  });

  it("of a doctor has this machine's own addresses, and goes when it is interrupted", async () => {
    await using doctor = start("doctor", "--listen", "0", "--ready-file", file);
    const { addresses, endpoint, port } = await readyWhenThere();
    expect(addresses.length).toBeGreaterThan(0);
    expect(endpoint).toBe(`${addresses[0]}:${port}`);
    const examines = ["doctor", "--to-file", file, "--tls", `${pki}/source`, "--measure", "0s"];
    const { code, stderr } = await pvferry(examines);
    expect(code, stderr).toBe(0);
    doctor.kill("SIGTERM");
    expect((await doctor.ended).code).toBe(143);
    expectGone();
  });

  it.each([
    ["that cannot be written", ["--listen", "127.0.0.1:0", "--ready-file", "/nowhere/at/all"]],
    ["of a side that dials", ["--to", "127.0.0.1:9", "--ready-file", file]],
  ])("%s is told before anything else", async (_, flags) => {
    await using target = start("target", place.directory("never"), ...flags);
    const { code, stderr } = await target.ended;
    expect(stderr).toMatch(/Cannot write the ready file \/nowhere|--ready-file says where/);
    expect([2, 31]).toContain(code);
    expectGone();
  });
});
