import { mkdtempSync } from "node:fs";
import { tmpdir } from "node:os";
import path from "node:path";

import { describe, expect, it } from "vitest";

import type { Existing, VolumeFacts } from "../../../src/native/types.ts";
import { checkTargetVolume } from "../../../src/session/volume-checks.ts";
import { EMPTY_FACTS, FakeNative } from "../../fixtures/fake-native.ts";

const folder = mkdtempSync(path.join(tmpdir(), "pvferry-volume-"));

function check(facts: Partial<VolumeFacts>, existing: Existing = "refuse"): void {
  const native = new FakeNative();
  native.targetFacts = { ...EMPTY_FACTS, ...facts };
  checkTargetVolume(native.addonFor("target"), folder, existing, "t/v");
}

describe("a target volume", () => {
  it("may be empty, or hold what an earlier try left", () => {
    expect(() => check({})).not.toThrow();
    expect(() => check({ firstNames: ["a"], unfinishedTransfer: "t/v" })).not.toThrow();
    expect(() => check({ unfinishedTransfer: "other/v" })).not.toThrow();
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
    [
      "of another transfer",
      { firstNames: ["a"], unfinishedTransfer: "x/y" },
      /is not empty and belongs to the unfinished transfer x\/y: it holds a\.$/,
    ],
  ])("%s is refused", (_name, facts, sentence) => {
    expect(() => check(facts)).toThrow(sentence);
    expect(() => check(facts)).toThrow(expect.objectContaining({ code: 31 }));
  });

  it.each(["update", "mirror"] as const)("may hold anything with --existing %s", (existing) => {
    expect(() => check({ firstNames: ["a"] }, existing)).not.toThrow();
    expect(() => check({ firstNames: ["a"], unfinishedTransfer: "x/y" }, existing)).not.toThrow();
    expect(() => check({ firstNames: ["a"], readOnly: true }, existing)).toThrow(/read-only/);
  });
});
