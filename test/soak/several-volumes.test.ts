/**
 * Six volumes of one target, whose agents are killed at random moments, the target as well: started again each time, as a
 * Job is, all of them end well, and nothing lands in the wrong volume.
 */
import { existsSync, mkdirSync, writeFileSync } from "node:fs";
import { setTimeout as sleep } from "node:timers/promises";

import { expect, it } from "vitest";

import { initPki } from "../agent/agent-pair.ts";
import { pvferry, startPvferry, type Agent } from "../agent/run-pvferry.ts";
import { describeWith } from "../bed/needs.ts";
import { freePort } from "../bed/ports.ts";
import { scratch, type Scratch } from "../bed/scratch.ts";
import { expectFaithful } from "../judge/expect-faithful.ts";
import { testSeed } from "../proof/seed.ts";
import { randomBytes, type RandomBytes } from "../volume/random-bytes.ts";

const SEED = testSeed();
const ROUNDS = 10;
const KILLS = 14;
const NAMES = ["a", "b", "c", "d", "e", "f"] as const;
const PATIENCE_MS = 300_000;

function writeVolume(folder: string, random: RandomBytes): void {
  mkdirSync(folder, { recursive: true });
  writeFileSync(`${folder}/large`, random.bytes(12_000_000));
  for (let file = 0; file < 300; file += 1) writeFileSync(`${folder}/${file}`, random.bytes(20));
}

/** Starts what has ended without success, and says what is left. */
class Controller implements AsyncDisposable {
  readonly left = new Set<string>(NAMES);
  readonly #place: Scratch;
  readonly #port: number;
  readonly #agents = new Map<string, Agent>();

  constructor(place: Scratch, port: number) {
    this.#place = place;
    this.#port = port;
  }

  /** A target is started for what is left then. */
  startMissing(): void {
    for (const name of [...this.left, "target"]) {
      if (this.#agents.has(name) || this.left.size === 0) continue;
      const agent = name === "target" ? this.#target() : this.#source(name);
      this.#agents.set(name, agent);
      void agent.ended.then(({ code }) => {
        this.#agents.delete(name);
        if (code === 0) this.left.delete(name);
      });
    }
  }

  kill(name: string): void {
    this.#agents.get(name)?.kill("SIGKILL");
  }

  async [Symbol.asyncDispose](): Promise<void> {
    for (const agent of this.#agents.values()) await agent[Symbol.asyncDispose]();
  }

  #target(): Agent {
    const volumes = [...this.left].flatMap((name) => [
      "--volume",
      `${name}=${this.#place.at(`to/${name}`)}`,
    ]);
    const where = ["--tls", this.#place.at("pki/target"), "--listen", `127.0.0.1:${this.#port}`];
    return startPvferry(["target", ...volumes, ...where, "--checkpoint", "300ms"]);
  }

  #source(name: string): Agent {
    const to = ["--volume", name, "--to", `127.0.0.1:${this.#port}`, "--bwlimit", "3M"];
    const volume = this.#place.at(`from/${name}`);
    return startPvferry(["source", volume, "--tls", this.#place.at("pki/source"), ...to]);
  }
}

/** The target may have been killed when nothing was left to do but to remove its folder. */
async function leaveFinished(place: Scratch, name: string): Promise<void> {
  const copy = place.at(`to/${name}`);
  if (!existsSync(`${copy}/.pvferry`)) return;
  const flags = ["--volume", name, "--tls", place.at("pki/target"), "--listen", "127.0.0.1:0"];
  const { code, stderr } = await pvferry(["target", copy, ...flags, "--reconnect-timeout", "1s"]);
  expect(code, stderr).toBe(0);
}

describeWith({ programs: ["rsync"] }, `six volumes of one target (seed ${SEED})`, () => {
  it.each(Array.from({ length: ROUNDS }, (_, round) => round))("end well: %i", async (round) => {
    using place = scratch();
    const random = randomBytes(`${SEED}-${round}`);
    await initPki(place.at("pki"));
    for (const name of NAMES) {
      writeVolume(place.at(`from/${name}`), random);
      mkdirSync(place.at(`to/${name}`), { recursive: true });
    }
    await using controller = new Controller(place, await freePort());
    const until = performance.now() + PATIENCE_MS;
    let kills = 0;
    while (controller.left.size > 0 && performance.now() < until) {
      controller.startMissing();
      await sleep(200 + random.below(800));
      if (kills === KILLS || random.below(2) === 0) continue;
      kills += 1;
      controller.kill(["target", ...NAMES][random.below(9)] ?? "target");
    }
    expect([...controller.left]).toEqual([]);
    for (const name of NAMES) {
      await leaveFinished(place, name);
      await expectFaithful(place.at(`from/${name}`), place.at(`to/${name}`));
    }
  });
});
