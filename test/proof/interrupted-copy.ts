/**
 * A copy to which something happens, until it has ended well. What counts is seen from outside: the judge compares the
 * volumes, a relay counts what crosses, strace sees what is opened.
 */
import { existsSync, readdirSync } from "node:fs";
import { setTimeout as sleep } from "node:timers/promises";

import { expect } from "vitest";

import { startSource, startTarget } from "../agent/agent-pair.ts";
import { openedSince, tracingOpens } from "../agent/opened-files.ts";
import type { Agent, Ended } from "../agent/run-pvferry.ts";
import { breakingRelay, type Relay } from "../bed/breaking-relay.ts";
import { freePort } from "../bed/ports.ts";
import { scratch, type Scratch } from "../bed/scratch.ts";
import { expectFaithful } from "../judge/expect-faithful.ts";
import { finishedFiles } from "../judge/finished-files.ts";
import { crossed } from "./crossed.ts";
import { describeInterruption, type Interruption } from "./interruption.ts";

const MIB = 1024 * 1024;
/** What an interruption may make cross once more. */
const AGAIN = 64 * MIB;
/** Names, digests and frames of a session, beside its data. */
const BESIDES = 4 * MIB;
const PATIENCE_MS = 240_000;
const TRIES = 6;

export const INTERRUPTIONS_NEED = { programs: ["strace", "rsync", "getfattr", "getfacl"] };

export interface InterruptedVolume {
  readonly source: string;
  readonly pki: string;
  /** That have to cross once. */
  readonly bytes: number;
  /** Through the relay. */
  readonly bytesPerSecond: number;
}

export interface Survived {
  /** Bytes beyond those that have to cross. */
  readonly again: number;
  /** Files that were finished when it happened, and that therefore had to be left alone. */
  readonly finished: number;
  /** It came too late to interrupt anything. */
  readonly tooLate: boolean;
}

class Transfer {
  readonly #volume: InterruptedVolume;
  readonly #place: Scratch;
  readonly #targetPort: number;
  readonly #flags: readonly string[];
  readonly relay: Relay;
  readonly target: string;
  readonly traces: { readonly side: "source" | "target"; readonly file: string }[] = [];
  #source: Agent | null = null;
  #listening: Agent | null = null;

  constructor(
    volume: InterruptedVolume,
    place: Scratch,
    relay: Relay,
    port: number,
    flags: readonly string[],
  ) {
    this.#volume = volume;
    this.#place = place;
    this.#targetPort = port;
    this.#flags = flags;
    this.relay = relay;
    this.target = place.directory("target");
  }

  get source(): Agent {
    return started(this.#source);
  }

  get listening(): Agent {
    return started(this.#listening);
  }

  startSource(): void {
    const { source: volume, pki } = this.#volume;
    const flags = ["--compress", "none", "--lanes", "2", ...this.#flags];
    const run = { wrapper: this.#traced("source"), patienceMs: PATIENCE_MS };
    this.#source = startSource({ volume, pki, port: this.relay.port, flags, run });
  }

  async startTarget(...more: readonly string[]): Promise<void> {
    const flags = [...this.#flags, ...more];
    const run = { wrapper: this.#traced("target"), patienceMs: PATIENCE_MS };
    const options = { volume: this.target, pki: this.#volume.pki, port: this.#targetPort };
    this.#listening = (await startTarget({ ...options, flags, run })).agent;
  }

  #traced(side: "source" | "target"): readonly string[] {
    const file = this.#place.at(`${side}-${this.traces.length}.strace`);
    this.traces.push({ side, file });
    return tracingOpens(file);
  }

  async [Symbol.asyncDispose](): Promise<void> {
    await this.#source?.[Symbol.asyncDispose]();
    await this.#listening?.[Symbol.asyncDispose]();
    await this.relay[Symbol.asyncDispose]();
  }
}

function started(agent: Agent | null): Agent {
  if (agent === null) throw new Error("the agent was not started");
  return agent;
}

async function begin(
  volume: InterruptedVolume,
  place: Scratch,
  recovers: boolean,
): Promise<Transfer> {
  const port = await freePort();
  const pace = { bytesPerSecond: volume.bytesPerSecond };
  const relay = await breakingRelay({ targetPort: port, everyMs: 0, breaks: [], ...pace });
  const flags = recovers ? [] : ["--reconnect-timeout", "0"];
  const transfer = new Transfer(volume, place, relay, port, flags);
  await transfer.startTarget();
  transfer.startSource();
  return transfer;
}

/** Lets it happen; agents that were stopped go on before this resolves. */
async function happen(transfer: Transfer, interruption: Interruption): Promise<void> {
  const { source, listening, relay } = transfer;
  const { happening, stoppedMs } = interruption;
  if (happening === "connections cut") return relay.breakAll();
  const isStop = happening.endsWith("stopped");
  const chosen = [
    ...(happening.startsWith("target") ? [] : [source]),
    ...(happening.startsWith("source") ? [] : [listening]),
  ];
  for (const agent of chosen) agent.kill(isStop ? "SIGSTOP" : "SIGKILL");
  if (isStop) {
    await sleep(stoppedMs);
    for (const agent of chosen) agent.kill("SIGCONT");
  } else {
    await Promise.all(chosen.map(async (agent) => agent.ended));
  }
}

/** Nothing is left to do on the target: its journal is gone, and a moment later its folder, the last thing that a copy does. */
function isFinished(target: string): boolean {
  return !existsSync(`${target}/.pvferry/journal`) && readdirSync(target).length > 0;
}

/** null when one has failed while the other one still runs, and perhaps waits for it: it has to be started again. */
async function bothEndOrOneFails({
  source,
  listening,
}: Transfer): Promise<readonly Ended[] | null> {
  const both = Promise.all([source.ended, listening.ended]);
  const failures = [source, listening].map(async (agent) => {
    const { code } = await agent.ended;
    return code === 0 ? both : null;
  });
  const first = await Promise.race([both, ...failures]);
  return first ?? (source.isRunning() || listening.isRunning() ? null : both);
}

/** A source that was killed when its target had its farewell has nothing left to say, nor has one that came after that. */
function lastWords(source: Ended, target: Ended): readonly Ended[] {
  const cameLate = source.code === 20 && source.stderr.includes("was not reached within");
  return source.signal === null && !cameLate ? [source, target] : [target];
}

/** Starts what was killed, and what has ended without success; ends when both have ended well. */
async function untilBothEnd(transfer: Transfer, words: string): Promise<readonly Ended[]> {
  for (let tries = 0; tries < TRIES; tries += 1) {
    // A target that was killed when it had finished holds a copy that no journal tells of any more.
    const onto = isFinished(transfer.target) ? ["--existing", "mirror"] : [];
    const [target, source] = [transfer.listening, transfer.source];
    const targetIsDone = !target.isRunning() && (await target.ended).code === 0;
    if (targetIsDone && !source.isRunning()) {
      return lastWords(await source.ended, await target.ended);
    }
    const isLost = !target.isRunning() && !targetIsDone;
    if (isLost) await transfer.startTarget(...onto);
    // One that has heard all is run again as well when its target was killed before it was at its end.
    if (!source.isRunning() && (isLost || (await source.ended).code !== 0)) transfer.startSource();
    const ended = await bothEndOrOneFails(transfer);
    if (ended === null) continue;
    if (ended.every(({ code }) => code === 0)) return ended;
    for (const { code, stderr, signal } of ended) {
      expect([0, 20, 24], `${words}: ended with ${code ?? signal}: ${stderr}`).toContain(code);
    }
  }
  throw new Error(`${words}: not finished after ${TRIES} tries`);
}

/** When the relay saw a session after those before; never, when there was none. */
function watchNextSession({ relay }: Transfer): { readonly at: () => number } & Disposable {
  const before = relay.bound("index");
  let at = Number.POSITIVE_INFINITY;
  const timer = setInterval(() => {
    if (relay.bound("index") > before) at = Math.min(at, Date.now());
  }, 1);
  return { at: () => at, [Symbol.dispose]: () => clearInterval(timer) };
}

/** As "SIDE: PATH". */
function opened(transfer: Transfer, source: string, since: number): Set<string> {
  const all = transfer.traces.flatMap(({ side, file }) => {
    const folder = side === "source" ? source : transfer.target;
    return [...openedSince(file, folder, since)].map((path) => `${side}: ${path}`);
  });
  return new Set(all);
}

/** Since the moment: none of what was finished. Files in the middle show that the eye is open: they have one name each. */
function expectLeftAlone(
  transfer: Transfer,
  { source }: InterruptedVolume,
  finished: readonly string[],
  since: number,
): void {
  const everOpened = opened(transfer, source, 0);
  const middle = finished.filter((path) => path.startsWith("middle/"));
  expect(middle.filter((path) => !everOpened.has(`source: ${path}`))).toEqual([]);
  const openedNow = opened(transfer, source, since);
  const both = finished.flatMap((path) => [`source: ${path}`, `target: ${path}`]);
  expect(both.filter((path) => openedNow.has(path)).slice(0, 10)).toEqual([]);
}

/** Fails with the interruption in its words. */
export async function surviveInterruption(
  volume: InterruptedVolume,
  interruption: Interruption,
): Promise<Survived> {
  const words = describeInterruption(interruption);
  using place = scratch();
  await using transfer = await begin(volume, place, interruption.recovers);
  await crossed(transfer.relay, transfer.source, interruption.share * volume.bytes);
  await sleep(interruption.delayMs);
  const finished = await finishedFiles(volume.source, transfer.target);
  using next = watchNextSession(transfer);
  await happen(transfer, interruption);
  const ended = await untilBothEnd(transfer, words);
  for (const { stderr, code } of ended) expect(code, `${words}: ${stderr}`).toBe(0);
  expect(existsSync(`${transfer.target}/.pvferry`), words).toBe(false);
  await expectFaithful(volume.source, transfer.target);
  if (interruption.share > 0.5) expect(finished.length, words).toBeGreaterThan(0);
  expectLeftAlone(transfer, volume, finished, next.at());
  const again = transfer.relay.bytes() - volume.bytes;
  expect(again, `${words}: bytes that crossed again`).toBeLessThan(AGAIN + BESIDES);
  return { again, finished: finished.length, tooLate: next.at() === Number.POSITIVE_INFINITY };
}
