/** Files that change, grow, shrink or go while they are copied: told, never passed off as whole. */
import { appendFileSync, existsSync, rmSync, truncateSync, writeFileSync } from "node:fs";
import { setTimeout as sleep } from "node:timers/promises";

import { afterAll, beforeAll, describe, expect, it } from "vitest";

import { initPki, startSource, startTarget } from "../agent/agent-pair.ts";
import { receiptOf, type Receipt } from "../agent/receipt.ts";
import { breakingRelay } from "../bed/breaking-relay.ts";
import { scratch, type Scratch } from "../bed/scratch.ts";
import { randomBytes } from "../volume/random-bytes.ts";

const MIB = 1024 * 1024;
const PACE = 25 * MIB;
const SIZE = 30 * MIB;

const shared = scratch();
const pki = shared.at("pki");

beforeAll(async () => {
  await initPki(pki);
});

afterAll(() => shared[Symbol.dispose]());

interface Outcome {
  readonly code: number | null;
  readonly receipt: Receipt;
}

/** Copies two large files and a small one at a walking pace while `change` does its worst every 20 ms. */
async function copyWhile(place: Scratch, change: (volume: string) => void): Promise<Outcome> {
  const volume = place.directory("source");
  const random = randomBytes("changing");
  for (const name of ["changing", "steady"]) writeFileSync(`${volume}/${name}`, random.bytes(SIZE));
  const listening = await startTarget({ volume: place.directory("target"), pki });
  const wire = { targetPort: listening.port, everyMs: 0, breaks: [], bytesPerSecond: PACE };
  await using relay = await breakingRelay(wire);
  const flags = ["--compress", "none", "--lanes", "1"];
  await using source = startSource({ volume, pki, port: relay.port, flags });
  while (relay.bound("lane") === 0) await sleep(10);
  await sleep(300);
  const timer = setInterval(() => change(volume), 20);
  const ended = await source.ended;
  clearInterval(timer);
  await listening.agent.ended;
  return { code: ended.code, receipt: receiptOf(ended) };
}

function expectToldAbout({ code, receipt }: Outcome): void {
  expect(code).toBe(42);
  const told = receipt.items.filter(({ class: itemClass }) => itemClass === "changed");
  expect(told.map(({ path }) => path)).toEqual(["changing"]);
}

describe("a file", () => {
  it("that keeps growing", async () => {
    using place = scratch();
    expectToldAbout(
      await copyWhile(place, (volume) => appendFileSync(`${volume}/changing`, "more")),
    );
  });

  it("that keeps shrinking", async () => {
    using place = scratch();
    let size = SIZE;
    const outcome = await copyWhile(place, (volume) => {
      size = Math.max(0, size - 8192);
      truncateSync(`${volume}/changing`, size);
    });
    expectToldAbout(outcome);
  });

  it("that goes away is told and does not end the copy", async () => {
    using place = scratch();
    const outcome = await copyWhile(place, (volume) =>
      rmSync(`${volume}/changing`, { force: true }),
    );
    // It may have been read to its end by then, through the descriptor that was open; the directory tells all the same.
    expect(outcome.code).toBe(42);
    expect(existsSync(`${place.at("target")}/steady`)).toBe(true);
  });
});
