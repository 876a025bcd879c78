/** An agent is killed when everything is written, and before the source has heard so: what follows copies nothing again. */
import { existsSync } from "node:fs";
import { setTimeout as sleep } from "node:timers/promises";

import { expect, it } from "vitest";

import { initPki, startSource, startTarget, type ListeningTarget } from "../agent/agent-pair.ts";
import { firstReceipt } from "../agent/first-receipt.ts";
import { pvferry, type Agent } from "../agent/run-pvferry.ts";
import { sharedVolume } from "../agent/shared-volume.ts";
import { breakingRelay, type Relay } from "../bed/breaking-relay.ts";
import { describeWith } from "../bed/needs.ts";
import { scratch } from "../bed/scratch.ts";
import { expectFaithful } from "../judge/expect-faithful.ts";

const MIB = 1024 * 1024;
/** A second of copying: time to lay a hand on its control connection. */
const SIZES = { largeFiles: 1, largeBytes: 30 * MIB, smallFiles: 1_000 };
const SECOND = 1_000;
const BYTES_PER_SECOND = 40 * MIB;

const { volume, pki } = sharedVolume(SIZES);

interface JournalDocument {
  readonly isFinished: boolean;
  readonly checkpoints: readonly unknown[];
  readonly passes: readonly unknown[];
}

async function journalOf(target: string): Promise<JournalDocument> {
  const { stdout, stderr, code } = await pvferry(["journal", "--json", target]);
  expect(code, stderr).toBe(0);
  return JSON.parse(stdout) as JournalDocument;
}

interface Unheard extends AsyncDisposable {
  readonly source: Agent;
  readonly listening: ListeningTarget;
  readonly relay: Relay;
  /** Both agents again, or either. */
  readonly sourceAgain: () => Agent;
  readonly targetAgain: () => Promise<Agent>;
}

/** A pass of which everything is on the target's disk; its verdict is on the way to the source, and does not arrive. */
async function unheard(target: string, pass: "stage" | "cutover"): Promise<Unheard> {
  // The only checkpoint is that of the end.
  const flags = ["--checkpoint", "0s"];
  const listening = await startTarget({ volume: target, pki, flags });
  const { port: targetPort } = listening;
  const pace = { bytesPerSecond: BYTES_PER_SECOND };
  const relay = await breakingRelay({ targetPort, everyMs: 0, breaks: [], ...pace });
  const agents: Agent[] = [listening.agent];
  const kept = (agent: Agent): Agent => {
    agents.push(agent);
    return agent;
  };
  const sourceAgain = (): Agent =>
    kept(startSource({ volume, pki, port: relay.port, flags: ["--pass", pass] }));
  const source = sourceAgain();
  while (relay.bound("index") === 0) await sleep(2);
  relay.keepBack("control");
  expect(existsSync(`${target}/large/0`), "too late to keep anything back").toBe(false);
  const isOnDisk = async (): Promise<boolean> => (await journalOf(target)).checkpoints.length > 0;
  await expect.poll(isOnDisk, { timeout: 30_000 }).toBe(true);
  return {
    source,
    listening,
    relay,
    sourceAgain,
    targetAgain: async () => {
      const { agent } = await startTarget({ volume: target, pki, port: targetPort });
      await kept(agent).says(/Listening on/);
      return agent;
    },
    [Symbol.asyncDispose]: async () => {
      for (const agent of agents) await agent[Symbol.asyncDispose]();
      await relay[Symbol.asyncDispose]();
    },
  };
}

async function killed(...agents: readonly Agent[]): Promise<void> {
  for (const agent of agents) agent.kill("SIGKILL");
  for (const agent of agents) expect((await agent.ended).signal).toBe("SIGKILL");
}

describeWith({ programs: ["rsync", "getfattr", "getfacl", "strace"] }, "a finished copy", () => {
  it("whose target is killed before the source hears of it is finished by the next target alone", async () => {
    using place = scratch();
    const target = place.directory("target");
    await using end = await unheard(target, "cutover");
    await expect.poll(async () => (await journalOf(target)).isFinished).toBe(true);
    const waiting = await pvferry(["journal", target]);
    expect(waiting.stdout).toMatch(/^state +finished; its target waits for the source's farewell/m);
    await killed(end.listening.agent);
    const left = await pvferry(["journal", target]);
    expect(left.stdout).toMatch(/^state +finished; its target ended before it could remove/m);
    expect(left.stdout).toMatch(/^pass 1 +cutover, ended .* with exit code 0 \(ok\)/m);
    const other = await initPki(place.at("pki"));
    const foreign = await (await startTarget({ volume: target, pki: other })).agent.ended;
    expect(foreign.code).toBe(35);
    expect(foreign.stderr).toMatch(
      /holds the finished copy of the transfer .*remove its \.pvferry/s,
    );
    const successor = await end.targetAgain();
    end.relay.breakAll("control");
    expect(await firstReceipt(end.source, successor)).toMatchObject({ sessions: 2 });
    expect(existsSync(`${target}/.pvferry`)).toBe(false);
    await expectFaithful(volume, target);
  });

  it("of which both agents are killed ends well when both run again", async () => {
    using place = scratch();
    const target = place.directory("target");
    await using end = await unheard(target, "cutover");
    await killed(end.listening.agent, end.source);
    const successor = await end.targetAgain();
    expect(await firstReceipt(end.sourceAgain(), successor)).toMatchObject({ sessions: 1 });
    expect(existsSync(`${target}/.pvferry`)).toBe(false);
    await expectFaithful(volume, target);
  });

  it.each(["stage", "cutover"] as const)(
    "whose source is killed before it hears of it lets the next one in at once: %s",
    async (pass) => {
      using place = scratch();
      const target = place.directory("target");
      await using end = await unheard(target, pass);
      await killed(end.source);
      const successor = end.sourceAgain();
      expect(await firstReceipt(successor, end.listening.agent)).toMatchObject({ sessions: 2 });
      // A verdict is kept for a minute.
      expect((await successor.ended).milliseconds).toBeLessThan(40 * SECOND);
      expect(existsSync(`${target}/.pvferry`)).toBe(pass === "stage");
      if (pass === "stage") expect((await journalOf(target)).passes).toHaveLength(1);
      await expectFaithful(volume, target, { excluded: [".pvferry"] });
    },
  );

  it("is the source's to know before its journal goes, of which a kill may leave the empty folder", async () => {
    using place = scratch();
    const target = place.directory("target");
    // The last thing that goes is pvferry's own folder at the root: there strace kills it.
    const where = ["-e", "trace=unlinkat", "-P", target, "-e", "inject=unlinkat:signal=KILL"];
    const wrapper = ["strace", "-D", "-f", "-qq", "-o", place.at("strace"), ...where];
    const first = await startTarget({ volume: target, pki, run: { wrapper } });
    await using source = startSource({ volume, pki, port: first.port });
    expect((await first.agent.ended).signal).toBe("SIGKILL");
    const { code, stderr } = await source.ended;
    expect(code, stderr).toBe(0);
    const refused = await (await startTarget({ volume: target, pki })).agent.ended;
    expect(refused.code, refused.stderr).toBe(31);
    const { agent, port } = await startTarget({
      volume: target,
      pki,
      flags: ["--existing", "mirror"],
    });
    await using successor = agent;
    await using again = startSource({ volume, pki, port });
    await firstReceipt(again, successor);
    expect(existsSync(`${target}/.pvferry`)).toBe(false);
    await expectFaithful(volume, target);
  });
});
