/** Whom a target lets in when everything is written, and its source has not said that it heard the verdict. */

import { describe, expect, it } from "vitest";

import { fakeResult, type FakeNative } from "../../fixtures/fake-native.ts";
import { RAW_HELLO, RawPeer } from "../../fixtures/raw-peer.ts";
import {
  phasesOf,
  settleBoth,
  startPair,
  startSource,
  type Pair,
  type PairOptions,
} from "../../fixtures/session-pair.ts";

function failure(code: number, message: RegExp): unknown {
  return expect.objectContaining({ code, message: expect.stringMatching(message) as unknown });
}

interface Flushing extends Pair {
  readonly flushed: () => void;
  /** As kill -9 of the source, or the loss of its node: its connection is open, and nothing comes or goes on it. */
  readonly killSource: () => void;
}

/** A target that brings everything to disk, until told that it is there. */
async function flushing(options: PairOptions = {}): Promise<Flushing> {
  const pair = startPair(options);
  const flush = Promise.withResolvers<void>();
  (await pair.native.target.promise).flush = flush.promise;
  await settleBoth(pair.native);
  await expect.poll(() => phasesOf(pair.target).at(-1)).toBe("durable");
  const { line } = pair.native;
  const killSource = (): void => {
    line.closed = true;
  };
  return { ...pair, flushed: flush.resolve, killSource };
}

/** The target keeps a verdict that its source will never hear. */
async function unheard(options: PairOptions = {}): Promise<Pair> {
  const pair = await flushing(options);
  pair.killSource();
  pair.flushed();
  await expect.poll(() => phasesOf(pair.target).at(-1)).toBe("verdict");
  return pair;
}

async function settleSecond({ sources, targets }: FakeNative): Promise<void> {
  await expect.poll(() => [sources.length, targets.length]).toEqual([2, 2]);
  for (const session of [targets[1], sources[1]]) {
    session?.emit([{ type: "settled", result: fakeResult({ movedBytes: 0 }) }]);
  }
}

describe("a newer source, when everything is written", () => {
  it.each([
    ["stage", ["durable"], ["durable", 0]],
    ["cutover", ["durable", 0], ["durable", 0, "left"]],
  ] as const)("makes a %s pass once more, at once", async (pass, older, newer) => {
    const { native, target } = await unheard({ pass });
    const successor = startSource(native, { pass });
    await settleSecond(native);
    const receipt = await successor.ended;
    expect(receipt).toMatchObject({ exitCode: 0, movedBytes: 0, sessions: 2, pass: { number: 1 } });
    expect(await target.ended).toEqual(receipt);
    expect(native.targets.map(({ ends }) => ends)).toEqual([older, newer]);
  });

  it("is never told the verdict on another kind of pass", async () => {
    const { native, target } = await unheard({ pass: "stage" });
    const successor = startSource(native, { pass: "cutover" });
    await settleSecond(native);
    const receipt = await successor.ended;
    expect(receipt).toMatchObject({ exitCode: 0, pass: { kind: "cutover", number: 1 } });
    expect(await target.ended).toEqual(receipt);
    expect(native.targets[1]?.ends).toEqual(["durable", 0, "left"]);
  });

  it("waits until all is on disk, and takes the place of an older one that hears so", async () => {
    const { native, source, target, flushed } = await flushing();
    const successor = startSource(native);
    await expect.poll(() => phasesOf(successor).at(-1)).toBe("preflight");
    expect(native.targets[0]?.closed).toBe(false);
    flushed();
    expect(await source.ended).toEqual(failure(24, /superseded by a newer one/));
    await settleSecond(native);
    const receipt = await successor.ended;
    expect(receipt).toMatchObject({ exitCode: 0, sessions: 2 });
    expect(await target.ended).toEqual(receipt);
    expect(native.targets[0]?.ends).toEqual(["durable", 0]);
  });

  it("is refused when it only looks, or is not newer, and the verdict stands", async () => {
    const { native, target } = await unheard();
    for (const mode of ["dry-run", "compare"] as const) {
      const refusal = failure(33, /Everything has been copied into the target volume/);
      expect(await startSource(native, { mode }).ended).toEqual(refusal);
    }
    const older = new RawPeer(native.knock());
    older.say({ ...RAW_HELLO, epoch: "1" });
    await expect.poll(() => older.heard("refused")).toMatchObject({ code: 33 });
    target.interrupt();
    expect(await target.ended).toMatchObject({ exitCode: 0, sessions: 1 });
    expect(native.targets.map(({ ends }) => ends)).toEqual([["durable", 0, "left"]]);
  });

  it("finds the port closed once the older one has heard", async () => {
    const { native, source, target, flushed } = await flushing();
    const [to] = native.targets;
    const left = Promise.withResolvers<void>();
    if (to !== undefined) to.leave = () => left.promise;
    flushed();
    expect(await source.ended).toMatchObject({ exitCode: 0 });
    await expect.poll(() => to?.ends).toEqual(["durable", 0]);
    await expect.poll(() => couldKnock(native)).toBe(false);
    left.resolve();
    expect(await target.ended).toMatchObject({ exitCode: 0 });
  });
});

function couldKnock(native: FakeNative): boolean {
  try {
    native.knock().close();
    return true;
  } catch {
    return false;
  }
}
