/** The kernel itself ends established connections in the middle of a copy, now on the source, now on the target. */
import { existsSync } from "node:fs";
import { setTimeout as sleep } from "node:timers/promises";

import { expect, it } from "vitest";

import { initPki, startSource, startTarget } from "../agent/agent-pair.ts";
import { familyOf } from "../agent/processes.ts";
import { receiptOf } from "../agent/receipt.ts";
import { startPvferry } from "../agent/run-pvferry.ts";
import { breakingRelay, type Relay } from "../bed/breaking-relay.ts";
import { describeWith } from "../bed/needs.ts";
import { scratch } from "../bed/scratch.ts";
import { expectFaithful } from "../judge/expect-faithful.ts";
import { toolOutput } from "../judge/run-tool.ts";
import { writePlainTree } from "../volume/plain.ts";
import { randomBytes, type RandomBytes } from "../volume/random-bytes.ts";

const MIB = 1024 * 1024;
const SIZES = { largeFiles: 3, largeBytes: 40 * MIB, smallFiles: 2000 };
const PACE = 35 * MIB;

/** Ends one agent's end of a connection (SOCK_DESTROY); says whether there was one. */
async function killSocket(sport: number, dport: number): Promise<boolean> {
  const filter = ["sport", "=", `:${sport}`, "and", "dport", "=", `:${dport}`];
  const args = ["-K", "-tnH", "state", "established", ...filter];
  return (await toolOutput({ command: "ss", args })).trim() !== "";
}

async function killOneLane(relay: Relay, targetPort: number, random: RandomBytes): Promise<number> {
  const lanes = relay.ports("lane");
  const lane = lanes[random.below(Math.max(1, lanes.length))];
  if (lane === undefined) return 0;
  const atSource = random.below(2) === 0;
  const killed = atSource
    ? await killSocket(lane.source, relay.port)
    : await killSocket(targetPort, lane.relay);
  return killed ? 1 : 0;
}

/** The port that a process listens on. */
async function listeningPort(pid: number): Promise<number> {
  const sockets = await toolOutput({ command: "ss", args: ["-tlnpH"] });
  const line = sockets.split("\n").find((each) => each.includes(`pid=${pid},`)) ?? "";
  return Number(/:(\d+)\s/.exec(line)?.[1]);
}

describeWith({ root: true, programs: ["ss", "rsync", "getfattr", "getfacl"] }, "copy", () => {
  it("goes on in a new session when all connections of its two processes are killed", async () => {
    using place = scratch();
    const [source, target] = [place.directory("source"), place.at("target")];
    await writePlainTree(source, { largeFiles: 4, largeBytes: 100 * MIB, smallFiles: 2000 });
    await using agent = startPvferry(["copy", "--json", source, target]);
    // It is there from before the first write until the copy is durable.
    while (!existsSync(`${target}/.pvferry`)) await sleep(2);
    const [, child = 0] = familyOf(agent.pid);
    const port = await listeningPort(child);
    const filter = ["dport", "=", `:${port}`];
    await toolOutput({ command: "ss", args: ["-K", "-tnH", "state", "established", ...filter] });
    const ended = await agent.ended;
    expect(ended.code, ended.stderr).toBe(0);
    expect(ended.stderr).toMatch(/Trying a new session until/);
    expect(receiptOf(ended)).toMatchObject({ sessions: 2, items: [] });
    await expectFaithful(source, target);
  });
});

describeWith({ root: true, programs: ["ss", "rsync", "getfattr", "getfacl"] }, "a copy", () => {
  it("survives a lane's socket being killed every 250 ms", async () => {
    using place = scratch();
    const [source, target] = [place.directory("source"), place.directory("target")];
    await writePlainTree(source, SIZES);
    const pki = await initPki(place.at("pki"));
    const { agent: listening, port } = await startTarget({ volume: target, pki });
    const pace = { everyMs: 0, breaks: [], bytesPerSecond: PACE };
    await using relay = await breakingRelay({ targetPort: port, ...pace });
    const flags = ["--lanes", "3", "--compress", "none"];
    await using agent = startSource({ volume: source, pki, port: relay.port, flags });
    const random = randomBytes("kill");
    let killed = 0;
    while (agent.isRunning()) {
      killed += await killOneLane(relay, port, random);
      await sleep(250);
    }
    const ended = await agent.ended;
    expect(ended.code, ended.stderr).toBe(0);
    expect((await listening.ended).code).toBe(0);
    expect(killed).toBeGreaterThan(4);
    const receipt = receiptOf(ended);
    expect(receipt.reconnects).toBeGreaterThan(2);
    expect(receipt.resent).toBeGreaterThan(0);
    expect(receipt.items).toEqual([]);
    await expectFaithful(source, target);
  });
});
