/** What a target does whose copy was finished before it began, while its source may or may not come once more. */

import { describe, expect, it } from "vitest";

import { PvferryError } from "../../../src/core/errors.ts";
import type { JournalText, PassRecord } from "../../../src/native/journal-types.ts";
import { EMPTY_FACTS, FakeNative } from "../../fixtures/fake-native.ts";
import { RAW_HELLO, RawPeer } from "../../fixtures/raw-peer.ts";
import {
  noticesOf,
  settleBoth,
  startSource,
  startTarget,
  type RunningSide,
} from "../../fixtures/session-pair.ts";

const PASS: PassRecord = {
  kind: "cutover",
  number: 3,
  verdict: 0,
  receipt: "c".repeat(64),
  ended: { seconds: 1_800_000_020, nanoseconds: 500_000_000 },
  scanBegan: { seconds: 1_800_000_002, nanoseconds: 0 },
  scanEnded: { seconds: 1_800_000_012, nanoseconds: 0 },
};

const JOURNAL: JournalText = {
  path: "/v/.pvferry/journal",
  transfer: "t/volume",
  bytes: 1,
  heldBy: null,
  isFinished: true,
  doubt: null,
  sessions: [],
  checkpoints: [],
  passes: [{ ...PASS, kind: "stage", number: 2 }, PASS],
  parts: [],
  torn: [],
};

const SOON = { reconnectTimeoutMs: 200 };
/** Several times as long. */
const LATER_MS = 1_000;

function finished(journal: Partial<JournalText> = {}): FakeNative {
  const native = new FakeNative();
  native.journal = { ...JOURNAL, ...journal };
  native.targetFacts = { ...EMPTY_FACTS, firstNames: ["a"], unfinishedTransfer: "t/volume" };
  return native;
}

function failure(code: number, message: RegExp): unknown {
  return expect.objectContaining({ code, message: expect.stringMatching(message) as unknown });
}

async function stillWaits(native: FakeNative, target: RunningSide): Promise<void> {
  const later = new Promise((resolve) => setTimeout(resolve, LATER_MS, "waits"));
  expect(await Promise.race([target.ended, later])).toBe("waits");
  target.interrupt();
  expect(await target.ended).toEqual(failure(130, /Interrupted/));
  expect(native.left).toBe(0);
}

/** A source that is lost before anything is written. */
async function comeAndGo(native: FakeNative, epoch: string): Promise<void> {
  const peer = new RawPeer(native.knock());
  peer.say({ ...RAW_HELLO, epoch });
  await expect.poll(() => peer.heard("preflight")).toBeDefined();
  peer.connection.close();
}

describe("a target whose copy is finished", () => {
  it("says so, waits for a source, and removes the folder when none comes", async () => {
    const native = finished();
    const target = startTarget(native, SOON);
    await expect
      .poll(() => noticesOf(target))
      .toEqual([
        expect.stringMatching(
          /is finished: pass 3 ended at 2027-01-15T08:00:20\.500Z with exit code 0 \(ok\).*Waiting .*until 20.* UTC; then the folder goes/,
        ),
      ]);
    const end = await target.ended;
    expect(end).toMatchObject({ exitCode: 0, exitName: "ok", transfer: "t", volume: "volume" });
    expect(end).toMatchObject({ pass: { kind: "cutover", number: 3 } });
    expect(end).toMatchObject({
      endedAt: "2027-01-15T08:00:20.500Z",
      receiptDigest: PASS.receipt,
      message: expect.stringMatching(/was finished at 2027.*that of pass 3: exit code 0 \(ok\)\./),
      next: expect.stringMatching(/^There is no new receipt.*that made it\.$/),
    });
    expect(end).not.toHaveProperty("receipt");
    expect(native.left).toBe(1);
    expect(native.targets).toEqual([]);
    expect(() => native.knock()).toThrow("Nothing listens");
  });

  it.each([
    [40, "unreadable"],
    [41, "not-kept"],
  ] as const)("ends with what the record holds, and says where to look: %i", async (code, name) => {
    const native = finished({ passes: [{ ...PASS, verdict: code }] });
    const end = await startTarget(native, SOON).ended;
    const next = expect.stringMatching(/Look there for what was not kept.*--mode verify\.$/);
    expect(end).toMatchObject({ exitCode: code, exitName: name, next });
  });

  it("serves a source that comes in time like any other", async () => {
    const native = finished();
    const target = startTarget(native, { reconnectTimeoutMs: 30_000 });
    const source = startSource(native);
    await settleBoth(native);
    const receipt = await source.ended;
    expect(receipt).toMatchObject({ exitCode: 0, receipt: 1 });
    expect(await target.ended).toEqual(receipt);
    expect(native.left).toBe(0);
  });

  it("serves one that only looks, and leaves the folder", async () => {
    const native = finished();
    const target = startTarget(native, { reconnectTimeoutMs: 30_000 });
    startSource(native, { mode: "compare" });
    await native.look.promise;
    target.interrupt();
    expect(await target.ended).toEqual(failure(130, /Interrupted/));
    expect(native.left).toBe(0);
  });

  it("gives a source that is lost before anything is written its time once, and no more", async () => {
    const native = finished();
    const target = startTarget(native, { reconnectTimeoutMs: 400 });
    const started = performance.now();
    let sources = 0;
    const knocking = setInterval(() => {
      sources += 1;
      void comeAndGo(native, `${sources}`).catch(() => undefined);
    }, 100);
    expect(await target.ended).toMatchObject({ exitCode: 0, receiptDigest: PASS.receipt });
    clearInterval(knocking);
    const waited = performance.now() - started;
    expect(waited).toBeGreaterThan(450);
    expect(waited).toBeLessThan(2_000);
    expect(sources).toBeGreaterThan(2);
    expect(native.left).toBe(1);
  });

  it("is one like any other once a session has begun to write", async () => {
    const native = finished();
    const target = startTarget(native, SOON);
    startSource(native);
    const to = await native.target.promise;
    to.emit([{ type: "failed", error: { kind: "network", message: "Index lost.", errno: null } }]);
    native.dialFailure = new PvferryError({ code: 20, message: "Gone.", next: "Wait." });
    native.line.peer?.cut();
    native.line.cut();
    expect(await target.ended).toEqual(failure(20, /within 200ms of the first loss/));
    expect(native.left).toBe(0);
  });

  it("leaves the folder when it is interrupted meanwhile", async () => {
    const native = finished();
    const target = startTarget(native, { reconnectTimeoutMs: 30_000 });
    await expect.poll(() => noticesOf(target).length).toBe(1);
    target.interrupt();
    expect(await target.ended).toEqual(failure(130, /Interrupted/));
    expect(native.left).toBe(0);
  });

  it("ends with what keeps it from removing the folder", async () => {
    const native = finished();
    native.leaveFailure = new PvferryError({ code: 33, message: "In use.", next: "End it." });
    expect(await startTarget(native, SOON).ended).toEqual(failure(33, /^In use\.$/));
  });

  it.each<[string, Partial<JournalText>, Parameters<typeof startTarget>[1]]>([
    ["its journal is to be discarded", {}, { discardJournal: true }],
    ["its volume is not to be written to", {}, { readOnly: true }],
    ["its source is sure to come", {}, { finishedWaitMs: null }],
    ["its journal is another transfer's by now", { transfer: "x/volume" }, {}],
    ["its copy is not finished", { isFinished: false }, {}],
    ["its record is not of this release", { passes: [{ ...PASS, verdict: 7 }] }, {}],
  ])("waits for its source as ever when %s", async (_name, journal, options) => {
    const native = finished(journal);
    const target = startTarget(native, { ...SOON, ...options });
    await stillWaits(native, target);
    expect(noticesOf(target)).toEqual([]);
  });
});
