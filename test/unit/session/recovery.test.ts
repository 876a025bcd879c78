/** What the sessions decide when one of them is lost: whether another follows, until when, and whose place is whose. */

import { describe, expect, it } from "vitest";

import { LIMITS } from "../../../src/config/limits.ts";
import { backOffMs, fullJitterMs } from "../../../src/core/back-off.ts";
import { PvferryError } from "../../../src/core/errors.ts";
import { Epochs } from "../../../src/session/epoch.ts";
import { hasMoved, Recovery } from "../../../src/session/recovery.ts";
import { fakeItem } from "../../fixtures/fake-item.ts";
import { FakeNative, fakeResult } from "../../fixtures/fake-native.ts";
import { RAW_HELLO, RawPeer } from "../../fixtures/raw-peer.ts";
import {
  noticesOf,
  phasesOf,
  settleBoth,
  startPair,
  startSource,
  startTarget,
  type Pair,
} from "../../fixtures/session-pair.ts";

const AGAIN = { reconnectTimeoutMs: 30_000 };

function failure(code: number, message: RegExp): unknown {
  return expect.objectContaining({ code, message: expect.stringMatching(message) as unknown });
}

function cutControl(native: FakeNative): void {
  native.line.peer?.cut();
  native.line.cut();
}

/** Resolves when so many native sessions have been opened on each side. */
async function opened(native: FakeNative, sessions: number): Promise<void> {
  await expect.poll(() => native.sources.length, { timeout: 10_000 }).toBe(sessions);
  await expect.poll(() => native.targets.length).toBe(sessions);
}

/** The newest sessions of both sides report that all is done. */
function settleNewest(native: FakeNative): void {
  native.targets.at(-1)?.emit([{ type: "settled", result: fakeResult() }]);
  native.sources.at(-1)?.emit([{ type: "settled", result: fakeResult() }]);
}

async function expectSameReceipt({ source, target }: Pair, sessions: number): Promise<void> {
  const [ours, theirs] = await Promise.all([source.ended, target.ended]);
  expect(ours).toMatchObject({ exitCode: 0, sessions });
  expect(theirs).toEqual(ours);
}

describe("a lost session", () => {
  it("leaves its journal to the next one, which discards none", async () => {
    const pair = startPair({ ...AGAIN, discardJournal: true });
    const { native } = pair;
    await opened(native, 1);
    cutControl(native);
    await opened(native, 2);
    expect(native.targets.map(({ options }) => options.discardJournal)).toEqual([true, false]);
    settleNewest(native);
    await expectSameReceipt(pair, 2);
  });

  it("is followed by another one, and both sides count two", async () => {
    const pair = startPair(AGAIN);
    const { native } = pair;
    await opened(native, 1);
    cutControl(native);
    await opened(native, 2);
    expect([native.sources[0]?.closed, native.targets[0]?.closed]).toEqual([true, true]);
    const until = /was lost: Reset\. .* until \d{4}-\d\d-\d\d \d\d:\d\d:\d\d UTC\.$/;
    expect(noticesOf(pair.source)).toEqual([expect.stringMatching(until)]);
    // The source may be back before its target has noticed the loss.
    const either = new RegExp(`${until.source}|superseded by a newer one`);
    expect(noticesOf(pair.target)).toEqual([expect.stringMatching(either)]);
    settleNewest(native);
    await expectSameReceipt(pair, 2);
    expect(phasesOf(pair.source).filter((phase) => phase === "copy")).toHaveLength(2);
  });

  it("also when it is the index that is lost", async () => {
    const pair = startPair(AGAIN);
    await opened(pair.native, 1);
    const error = { kind: "network", message: "Index lost.", errno: null } as const;
    pair.native.sources[0]?.emit([{ type: "failed", error }]);
    await opened(pair.native, 2);
    settleNewest(pair.native);
    await expectSameReceipt(pair, 2);
  });

  it("also when a target that is past it refuses the index before control is heard to be lost", async () => {
    const pair = startPair(AGAIN);
    await opened(pair.native, 1);
    const error = {
      kind: "untrusted",
      message: "No session has this secret.",
      errno: null,
    } as const;
    pair.native.sources[0]?.emit([{ type: "failed", error }]);
    await new Promise(setImmediate);
    cutControl(pair.native);
    await opened(pair.native, 2);
    settleNewest(pair.native);
    await expectSameReceipt(pair, 2);
  });

  it("takes its items with it", async () => {
    const pair = startPair(AGAIN);
    const { native } = pair;
    await opened(native, 1);
    native.sources[0]?.emit([{ type: "items", items: [fakeItem("source", "first")] }]);
    native.targets[0]?.emit([{ type: "items", items: [fakeItem("source", "first")] }]);
    cutControl(native);
    await opened(native, 2);
    settleNewest(native);
    expect(await pair.source.ended).toMatchObject({ items: [], itemsOmitted: 0 });
    expect(await pair.target.ended).toMatchObject({ items: [] });
  });

  it("is followed by none on its volume before its last thread has left it", async () => {
    const pair = startPair(AGAIN);
    const { native } = pair;
    await opened(native, 1);
    const leaving = Promise.withResolvers<void>();
    const [first] = native.targets;
    if (first !== undefined) first.leaving = leaving.promise;
    cutControl(native);
    await expect.poll(() => first?.closed).toBe(true);
    await expect.poll(() => native.connections.length, { timeout: 5_000 }).toBe(2);
    expect(native.targets).toHaveLength(1);
    leaving.resolve();
    await opened(native, 2);
    settleNewest(native);
    await expectSameReceipt(pair, 2);
  });

  it("is the end on both sides when nothing gets through for too long", async () => {
    const { native, source, target } = startPair({ reconnectTimeoutMs: 1_500 });
    await opened(native, 1);
    native.dialFailure = new PvferryError({ code: 20, message: "No route.", next: "Look." });
    cutControl(native);
    const sentence =
      /Nothing could be copied within 1500ms of the first loss \(--reconnect-timeout/;
    expect(await source.ended).toEqual(failure(20, sentence));
    expect(await source.ended).toEqual(failure(20, /No route/));
    expect(await target.ended).toEqual(failure(20, sentence));
  });

  it.each([
    ["that a side gives up itself", 30, "space"],
    ["that the peer breaks the protocol", 23, "protocol"],
  ] as const)("is the end when the reason is %s", async (_name, code, kind) => {
    const { native, source, target } = startPair(AGAIN);
    await opened(native, 1);
    native.targets[0]?.emit([
      { type: "failed", error: { kind, message: "No more.", errno: null } },
    ]);
    expect(await target.ended).toEqual(failure(code, /No more/));
    expect(await source.ended).toEqual(failure(24, /No more/));
    expect(native.sources).toHaveLength(1);
  });

  it("is the end when the user ends it while another one is tried", async () => {
    const { native, source, target } = startPair(AGAIN);
    await opened(native, 1);
    native.dialFailure = new PvferryError({ code: 20, message: "No route.", next: "Look." });
    cutControl(native);
    await expect.poll(() => noticesOf(source).length).toBe(1);
    await expect.poll(() => noticesOf(target).length).toBe(1);
    source.interrupt();
    target.interrupt();
    expect(await source.ended).toEqual(failure(130, /Interrupted/));
    expect(await target.ended).toEqual(failure(130, /Interrupted/));
  });

  it("has settled when the target was done and had not heard so yet", async () => {
    const { native, source, target } = startPair();
    await opened(native, 1);
    native.line.peer?.cut();
    native.sources[0]?.emit([{ type: "settled", result: fakeResult() }]);
    native.line.cut();
    await new Promise(setImmediate);
    native.targets[0]?.emit([{ type: "settled", result: fakeResult() }]);
    expect(await source.ended).toMatchObject({ exitCode: 0, sessions: 1 });
    expect(await target.ended).toMatchObject({ exitCode: 0 });
  });
});

describe("a process that was started again", () => {
  it("as a target is found by its source", async () => {
    const { native, source, target } = startPair(AGAIN);
    await opened(native, 1);
    target.interrupt();
    native.line.cut();
    await target.ended;
    const successor = startTarget(native, AGAIN);
    await opened(native, 2);
    settleNewest(native);
    const receipt = await source.ended;
    expect(receipt).toMatchObject({ exitCode: 0, sessions: 2 });
    expect(await successor.ended).toEqual(receipt);
  });

  it("as a target knows no verdict: its source copies anew", async () => {
    const { native, source, target } = startPair(AGAIN);
    await opened(native, 1);
    const [to] = native.targets;
    if (to !== undefined) to.flush = Promise.withResolvers<void>().promise;
    settleNewest(native);
    await expect.poll(() => phasesOf(target).at(-1)).toBe("durable");
    target.interrupt();
    native.line.cut();
    await target.ended;
    const successor = startTarget(native, AGAIN);
    await opened(native, 2);
    settleNewest(native);
    expect(await source.ended).toMatchObject({ exitCode: 0, sessions: 2 });
    expect(await successor.ended).toMatchObject({ exitCode: 0, sessions: 2 });
  });

  it("as a source takes the place of the older one, which hears why", async () => {
    const { native, source, target } = startPair(AGAIN);
    await opened(native, 1);
    const successor = startSource(native, AGAIN);
    expect(await source.ended).toEqual(
      failure(24, /gave up: This session was superseded by a newer one, from the source at/),
    );
    await opened(native, 2);
    expect(native.targets[0]?.closed).toBe(true);
    settleNewest(native);
    const receipt = await successor.ended;
    expect(receipt).toMatchObject({ exitCode: 0, sessions: 2 });
    expect(await target.ended).toEqual(receipt);
  });

  it("as a source takes a place that is only agreed on yet, and the next one takes its own", async () => {
    const native = new FakeNative();
    const target = startTarget(native, AGAIN);
    const peers: RawPeer[] = [];
    for (const epoch of ["1", "2", "3"]) {
      const peer = new RawPeer(native.knock());
      peer.say({ ...RAW_HELLO, epoch });
      peers.push(peer);
    }
    const superseded = expect.stringMatching(/superseded/) as unknown;
    await expect.poll(() => peers[0]?.heard("cancel")).toMatchObject({ message: superseded });
    await expect.poll(() => peers[1]?.received.at(-1)).toMatchObject({ message: superseded });
    await expect.poll(() => peers[2]?.heard("preflight")).toBeDefined();
    const source = startSource(native, AGAIN);
    await settleBoth(native);
    expect(await source.ended).toMatchObject({ exitCode: 0 });
    expect(await target.ended).toMatchObject({ exitCode: 0 });
  });
});

describe("the clock of a recovery", () => {
  it("starts with a loss, and anew only after something has moved", () => {
    let now = 1_000;
    const recovery = new Recovery(60_000, () => now);
    expect(recovery.remainingMs).toBeNull();
    now += 3_600_000;
    recovery.broke(true);
    expect(recovery.remainingMs).toBe(60_000);
    now += 50_000;
    recovery.broke(false);
    expect(recovery.remainingMs).toBe(10_000);
    recovery.broke(true);
    expect(recovery.remainingMs).toBe(60_000);
    now += 60_001;
    recovery.broke(false);
    expect(recovery.remainingMs).toBe(0);
  });

  it("counts bytes and entries", () => {
    expect(hasMoved(null)).toBe(false);
    expect(hasMoved({ bytesDone: 0, entriesDone: 0 })).toBe(false);
    expect(hasMoved({ bytesDone: 0, entriesDone: 1 })).toBe(true);
    expect(hasMoved({ bytesDone: 1, entriesDone: 0 })).toBe(true);
  });

  it("leaves a pause that grows to its bound with every session that moves nothing", () => {
    const recovery = new Recovery(3_600_000, () => 0);
    const pauses = Array.from({ length: 200 }, () => recovery.broke(false));
    expect(Math.max(...pauses.slice(0, 1))).toBeLessThanOrEqual(LIMITS.newSessionFirstMs);
    expect(Math.max(...pauses)).toBeLessThanOrEqual(LIMITS.newSessionLongestMs);
    expect(Math.max(...pauses)).toBeGreaterThan(LIMITS.newSessionLongestMs / 2);
    expect(Math.min(...pauses.slice(100))).toBeLessThan(LIMITS.newSessionLongestMs / 2);
  });
});

describe("full jitter", () => {
  const backOff = { firstMs: 100, longestMs: 1_000 };

  it("takes anything from nothing to the doubled pause", () => {
    expect([1, 2, 3, 60].map((failures) => fullJitterMs(backOff, failures, () => 1))).toEqual([
      100, 200, 400, 1_000,
    ]);
    expect(fullJitterMs(backOff, 3, () => 0)).toBe(0);
    expect(backOffMs(backOff, 3, () => 0)).toBe(200);
  });
});

describe("epochs", () => {
  it("grow by one in a process, whatever its clock does, and start with the clock", () => {
    let now = 5_000;
    const epochs = new Epochs(() => now);
    const first = epochs.next();
    now = 1_000;
    expect([first, epochs.next(), epochs.next()]).toEqual([5_000, 5_001, 5_002]);
  });

  it("put a later process before an earlier one that has reconnected often", () => {
    let now = 5_000;
    const earlier = new Epochs(() => now);
    for (let session = 0; session < 50; session += 1) {
      now += 2;
      earlier.next();
    }
    expect(new Epochs(() => now).next()).toBeGreaterThan(earlier.next());
  });
});
