import fc from "fast-check";
import { describe, expect, it } from "vitest";

import { PASS_KINDS, type BothSides, type ItemCounts } from "../../../src/core/receipt.ts";
import type { SessionResult } from "../../../src/native/types.ts";
import { makeReceipt } from "../../../src/session/make-receipt.ts";
import { isFinished, judge } from "../../../src/session/verdict.ts";
import { fakeItem } from "../../fixtures/fake-item.ts";
import { fakeResult } from "../../fixtures/fake-native.ts";

const NONE = fakeResult().itemCounts;

function side(counts: Partial<ItemCounts>, roots?: Partial<SessionResult["roots"]>): SessionResult {
  const result = fakeResult();
  return { ...result, itemCounts: { ...NONE, ...counts }, roots: { ...result.roots, ...roots } };
}

const other = { content: "c".repeat(64) };
const otherMetadata = { metadata: "d".repeat(64) };

describe("the verdict", () => {
  it.each<[string, SessionResult, SessionResult, number]>([
    ["nothing is amiss", side({}), side({}), 0],
    ["something was skipped on purpose", side({ skipped: 9 }), side({ skipped: 1 }), 0],
    ["an attribute was not kept", side({}), side({ "not-kept": 1 }), 41],
    ["a file changed", side({ changed: 1 }), side({}), 42],
    ["a file changed and an attribute was lost", side({ changed: 1 }), side({ "not-kept": 1 }), 42],
    ["an entry was unreadable", side({ unreadable: 1, changed: 1 }), side({ "not-kept": 3 }), 40],
    ["an entry was not written", side({}), side({ "not-written": 1 }), 40],
    ["contents differ without a word", side({}), side({}, other), 43],
    ["contents differ though all was read", side({ unreadable: 2 }), side({}, other), 43],
    ["contents differ, and the target says why", side({}), side({ "not-written": 1 }, other), 40],
    ["metadata differ without a word", side({}), side({}, otherMetadata), 43],
    [
      "metadata differ, and are accounted for",
      side({}),
      side({ "not-kept": 1 }, otherMetadata),
      41,
    ],
    [
      "metadata differ, and only changes are reported",
      side({ changed: 1 }),
      side({}, otherMetadata),
      43,
    ],
  ])("%s", (_case, source, target, code) => {
    expect(judge("cutover", { source, target }, 0)).toMatchObject({ exitCode: code });
  });

  it("is the same on both sides and always a sentence with advice", () => {
    const count = fc.nat({ max: 2 });
    const counts = fc.record({
      unreadable: count,
      "not-written": count,
      "not-kept": count,
      changed: count,
      skipped: count,
      repaired: count,
      corrupted: count,
    });
    const roots = fc.record({
      content: fc.constantFrom("a".repeat(64), "b".repeat(64)),
      metadata: fc.constantFrom("a".repeat(64), "b".repeat(64)),
    });
    const result = fc.record({ itemCounts: counts, roots }).map((part) => fakeResult(part));
    fc.assert(
      fc.property(fc.constantFrom(...PASS_KINDS), result, result, (pass, source, target) => {
        const results: BothSides<SessionResult> = { source, target };
        const verdict = judge(pass, results, 0);
        expect(judge(pass, structuredClone(results), 0)).toEqual(verdict);
        expect(verdict.message).toMatch(/\.$/);
        expect(verdict.next).toMatch(/\.$/);
        const done = pass === "cutover" && ![42, 43].includes(verdict.exitCode);
        expect(isFinished(pass, verdict)).toBe(done);
      }),
    );
  });
});

describe("the verdict on a stage pass", () => {
  it.each<[string, SessionResult, SessionResult, number]>([
    ["nothing is amiss", side({}), side({}), 0],
    ["files changed and vanished", side({ changed: 9 }), side({}), 0],
    ["files changed, and attributes were lost", side({ changed: 1 }), side({ "not-kept": 1 }), 41],
    ["files changed, and one was unreadable", side({ changed: 1, unreadable: 1 }), side({}), 40],
    ["files changed, and contents differ", side({ changed: 1 }), side({}, other), 43],
  ])("%s", (_case, source, target, code) => {
    expect(judge("stage", { source, target }, 0)).toMatchObject({ exitCode: code });
  });

  it("tells extra entries that stay from attributes", () => {
    const message = (notRemoved: number, notKept: number): string => {
      const target = { ...side({ "not-kept": notKept }), notRemoved };
      return judge("cutover", { source: side({}), target }, 0).message;
    };
    const start = "The cutover pass is finished, but";
    expect(message(0, 2)).toBe(`${start} 2 attributes could not be kept.`);
    expect(message(1, 1)).toBe(`${start} 1 extra entry could not be removed.`);
    expect(message(2, 3)).toBe(
      `${start} 1 attribute could not be kept and 2 extra entries could not be removed.`,
    );
  });

  it("counts what changed and says what comes next", () => {
    expect(judge("stage", { source: side({ changed: 2 }), target: side({}) }, 0)).toMatchObject({
      message: "The stage pass is finished: 2 files, 2.00 kB; 2 entries changed while being read.",
      next: "Stop the application, then run again with --pass cutover.",
    });
  });

  it("says what was sent without digests, of either pass", () => {
    const results = { source: side({}), target: side({}) };
    expect(judge("stage", results, 2).message).toBe(
      "The stage pass is finished: 2 files, 2.00 kB; no entry changed while being read, 2 files of them sent and not verified.",
    );
    expect(judge("cutover", results, 1).message).toBe(
      "Everything was kept: 2 files, 2.00 kB; 1 file of them sent and not verified.",
    );
  });
});

describe("the receipt", () => {
  const outcome = {
    transfer: "t",
    volume: "v",
    mode: "copy" as const,
    pass: { kind: "cutover", number: 1, session: "p" } as const,
    previous: null,
    rules: [],
    agents: { source: "1", target: "2" },
    startedAt: "2026-01-01T00:00:00.000Z",
    endedAt: "2026-01-01T00:00:02.000Z",
    sessions: 1,
    lanes: 4,
    lanesLost: 1,
    verify: "stream" as const,
    results: { source: fakeResult(), target: fakeResult() },
    items: { source: [], target: [] },
    differences: [],
  };

  it("computes duration and rate", () => {
    expect(makeReceipt(outcome)).toMatchObject({
      receipt: 1,
      durationMs: 2_000,
      bytesPerSecond: 1_000,
      reconnects: 1,
    });
  });

  it("survives a clock that went back", () => {
    expect(makeReceipt({ ...outcome, endedAt: "2025-12-31T00:00:00.000Z" }).durationMs).toBe(0);
  });

  it("lists the first items and counts the others", () => {
    const source = Array.from({ length: 9_999 }, (_, index) => fakeItem("source", `${index}`));
    const target = [fakeItem("target", "a"), fakeItem("target", "b")];
    const results = {
      source: side({ unreadable: 12_000 }),
      target: side({ "not-kept": 2 }),
    };
    const receipt = makeReceipt({ ...outcome, results, items: { source, target } });
    expect(receipt.items).toHaveLength(10_000);
    expect(receipt.items.at(-1)).toMatchObject({ path: "a" });
    expect(receipt.itemsOmitted).toBe(2_002);
  });
});

describe("the sentence about entries that are missing", () => {
  it.each([
    [side({ unreadable: 2 }), side({}), "2 entries could not be read."],
    [side({}), side({ "not-written": 1 }), "1 entry could not be written."],
    [
      side({ unreadable: 1 }),
      side({ "not-written": 3 }),
      "1 entry could not be read and 3 entries could not be written.",
    ],
  ])("names only what there is", (source, target, words) => {
    expect(judge("cutover", { source, target }, 0).message).toBe(
      `The cutover pass is finished, but ${words}`,
    );
  });
});
