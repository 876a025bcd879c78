import { tmpdir } from "node:os";

import { describe, expect, it } from "vitest";

import type { Existing, NativeErrorText, VolumeFacts } from "../../../src/native/types.ts";
import { checkTargetVolume } from "../../../src/session/volume-checks.ts";
import { EMPTY_FACTS, FakeNative } from "../../fixtures/fake-native.ts";

const DAMAGED: NativeErrorText = {
  kind: "journal",
  message: "The journal /v/.pvferry/journal is damaged at byte 9.",
  errno: null,
};

/** That it is a folder is all that is looked at. */
const folder = tmpdir();

function check(
  facts: Partial<VolumeFacts>,
  discardJournal = false,
  existing: Existing = "refuse",
): void {
  const native = new FakeNative();
  native.targetFacts = { ...EMPTY_FACTS, ...facts };
  const terms = { volume: folder, discardJournal, existing, readOnly: false };
  checkTargetVolume(native.addonFor("target"), terms, "t/v", null);
}

describe("a target volume", () => {
  it("may be empty, or hold what an earlier try left", () => {
    expect(() => check({})).not.toThrow();
    expect(() => check({ firstNames: ["a"], unfinishedTransfer: "t/v" })).not.toThrow();
  });

  it.each<[string, Partial<VolumeFacts>]>([
    ["of another transfer", { firstNames: ["a"], unfinishedTransfer: "x/y" }],
    ["of another transfer that has written nothing", { unfinishedTransfer: "x/y" }],
    ["with a journal that is damaged", { journalError: DAMAGED, firstNames: ["a"] }],
  ])("%s is refused with 35, unless its journal is discarded", (_name, facts) => {
    expect(() => check(facts)).toThrow(expect.objectContaining({ code: 35 }));
    expect(() => check(facts)).toThrow(
      expect.objectContaining({ next: expect.stringContaining("--discard-journal") }),
    );
    expect(() => check(facts, true)).not.toThrow();
  });

  it("with another transfer's finished copy is refused with 35, and said to hold one", () => {
    const facts = { firstNames: ["a"], unfinishedTransfer: "x/y", isFinished: true };
    const refusal = {
      code: 35,
      message: expect.stringContaining("holds the finished copy of the transfer x/y"),
      next: expect.stringMatching(/remove its .pvferry.*--discard-journal/),
    };
    expect(() => check(facts)).toThrow(expect.objectContaining(refusal));
    expect(() => check(facts, true)).not.toThrow();
    expect(() => check({ ...facts, unfinishedTransfer: "t/v" })).not.toThrow();
  });

  it("without a journal is not made acceptable by discarding it", () => {
    expect(() => check({ firstNames: ["a"] }, true)).toThrow(/is not empty: it holds a\.$/);
  });

  it("that another agent writes to is refused with 33, whose it is and what to do", () => {
    const facts = { heldBy: "process 7 on node-a", unfinishedTransfer: "t/v" };
    expect(() => check(facts, true)).toThrow(
      expect.objectContaining({
        code: 33,
        message: expect.stringContaining("in use by another pvferry agent (process 7 on node-a)"),
        next: expect.stringContaining("End what uses it"),
      }),
    );
  });

  it.each<[string, Partial<VolumeFacts>, RegExp]>([
    ["read-only", { readOnly: true }, /is read-only\.$/],
    ["with a name in it", { firstNames: ["a"] }, /is not empty: it holds a\.$/],
    [
      "with some",
      { firstNames: ["a", "b", "c", "d", "e", "f"] },
      /holds a, b, c, d, e and 1 other\.$/,
    ],
    [
      "with many",
      { firstNames: Array.from({ length: 20 }, (_, index) => `${index}`) },
      /holds 0, 1, 2, 3, 4 and many others\.$/,
    ],
  ])("%s is refused", (_name, facts, sentence) => {
    expect(() => check(facts)).toThrow(sentence);
    expect(() => check(facts)).toThrow(expect.objectContaining({ code: 31 }));
  });

  it.each(["update", "mirror"] as const)("may hold anything with --existing %s", (existing) => {
    expect(() => check({ firstNames: ["a"] }, false, existing)).not.toThrow();
    expect(() => check({ firstNames: ["a"], unfinishedTransfer: "x/y" }, false, existing)).toThrow(
      /belongs to the unfinished transfer x\/y/,
    );
    expect(() => check({ firstNames: ["a"], readOnly: true }, false, existing)).toThrow(
      /read-only/,
    );
  });
});
