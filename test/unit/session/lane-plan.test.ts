import { expect, it } from "vitest";

import { LanePlan } from "../../../src/session/lane-plan.ts";

const RANGE = { first: 2, long: 8, most: 32 };

interface Way {
  readonly roundTripMs: number;
  /** Bytes a millisecond, of so many lanes, after so long. */
  readonly rate: (lanes: number, atMs: number) => number;
  readonly range?: typeof RANGE;
  readonly hasQueue?: (atMs: number) => boolean;
  readonly needsAllFromMs?: number;
}

/** The numbers of lanes that a transfer of some seconds goes through. */
function lanesOver(way: Way): readonly number[] {
  const { roundTripMs, rate, range = RANGE, hasQueue = () => false, needsAllFromMs } = way;
  const plan = new LanePlan(range, roundTripMs);
  const seen = [plan.lanes];
  let acknowledgedBytes = 0;
  for (let atMs = 100; atMs <= 20_000; atMs += 100) {
    acknowledgedBytes += 100 * rate(plan.lanes, atMs);
    const needsAll = atMs >= (needsAllFromMs ?? Number.POSITIVE_INFINITY);
    plan.add({ atMs, roundTripMs, hasQueue: hasQueue(atMs), acknowledgedBytes, needsAll });
    if (plan.lanes !== seen.at(-1)) seen.push(plan.lanes);
  }
  return seen;
}

it("a short path keeps the lanes that it began with", () => {
  expect(lanesOver({ roundTripMs: 0.2, rate: (lanes) => 100_000 * lanes })).toEqual([2]);
});

it("a long path begins with more, and gets more as long as each lane adds its own", () => {
  expect(lanesOver({ roundTripMs: 50, rate: (lanes) => 300 * lanes })).toEqual([8, 16, 32]);
  expect(lanesOver({ roundTripMs: 5, rate: (lanes) => 300 * lanes })).toEqual([2, 4, 8, 16, 32]);
});

it("that is full gets no more, after one try", () => {
  expect(lanesOver({ roundTripMs: 50, rate: () => 24_000 })).toEqual([8, 16]);
  expect(lanesOver({ roundTripMs: 100, rate: (lanes) => Math.min(24_000, 1_000 * lanes) })).toEqual(
    [8, 16, 32],
  );
  expect(lanesOver({ roundTripMs: 100, rate: (lanes) => Math.min(9_000, 1_000 * lanes) })).toEqual([
    8, 16,
  ]);
});

it("a path before which something waits is full, as long as it does", () => {
  const rate = (lanes: number): number => Math.min(24_000, 1_000 * lanes);
  expect(lanesOver({ roundTripMs: 50, rate, hasQueue: () => true })).toEqual([8]);
  const since: number[] = [];
  const hasQueue = (atMs: number): boolean => atMs < 5_000;
  lanesOver({
    roundTripMs: 50,
    hasQueue,
    rate: (lanes, atMs) => {
      if (lanes > 8) since.push(atMs);
      return rate(lanes);
    },
  });
  expect(since[0]).toBeGreaterThan(5_000);
  expect(since[0]).toBeLessThan(7_000);
});

it("a transfer that becomes faster by itself is left alone until it has", () => {
  const rate = (_: number, atMs: number): number => Math.min(100 * 2 ** (atMs / 500), 24_000);
  const plan = new LanePlan(RANGE, 50);
  let acknowledgedBytes = 0;
  for (let atMs = 100; atMs <= 4_000; atMs += 100) {
    acknowledgedBytes += 100 * rate(plan.lanes, atMs);
    plan.add({ atMs, roundTripMs: 50, hasQueue: false, acknowledgedBytes, needsAll: false });
  }
  expect(plan.lanes).toBe(8);
  expect(lanesOver({ roundTripMs: 50, rate })).toEqual([8, 16]);
});

it("all lanes come at once when nothing else helps, also on a short path", () => {
  const rate = (lanes: number): number => 300 * lanes;
  expect(lanesOver({ roundTripMs: 50, rate, needsAllFromMs: 300 })).toEqual([8, 32]);
  expect(lanesOver({ roundTripMs: 1, rate, needsAllFromMs: 300 })).toEqual([2, 32]);
});

it("nothing that was agreed is exceeded, and a number that was given stays", () => {
  const rate = (lanes: number): number => 300 * lanes;
  const fixed = { first: 3, long: 8, most: 3 };
  expect(lanesOver({ roundTripMs: 50, rate, range: fixed, needsAllFromMs: 300 })).toEqual([3]);
  const few = { first: 2, long: 8, most: 5 };
  expect(lanesOver({ roundTripMs: 50, rate, range: few })).toEqual([5]);
  expect(new LanePlan(RANGE, null).lanes).toBe(2);
});

it("a pause is no reason for more", () => {
  const rate = (_: number, atMs: number): number => (atMs > 600 ? 0 : 24_000);
  expect(lanesOver({ roundTripMs: 50, rate })).toEqual([8]);
});
