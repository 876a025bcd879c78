import { describe, expect, it } from "vitest";

import type { Existing, VolumeFacts } from "../../../src/native/types.ts";
import { asIfCleared } from "../../../src/session/preflight.ts";
import { EMPTY_FACTS } from "../../fixtures/fake-native.ts";

function freeAmong(facts: Partial<VolumeFacts>, existing: Existing): readonly number[] {
  const full = { totalBytes: 100, freeBytes: 3, totalInodes: 10, freeInodes: 1 };
  const { freeBytes, freeInodes } = asIfCleared({ ...EMPTY_FACTS, ...full, ...facts }, existing);
  return [freeBytes, freeInodes];
}

describe("what a target says of its space", () => {
  it.each<[string, Partial<VolumeFacts>, Existing]>([
    ["an earlier try's leftovers", { firstNames: ["a"], unfinishedTransfer: "t/v" }, "refuse"],
    ["entries to be updated", { firstNames: ["a"] }, "update"],
    ["entries to be mirrored", { firstNames: ["a"] }, "mirror"],
  ])("counts %s as free", (_name, facts, existing) => {
    expect(freeAmong(facts, existing)).toEqual([100, 10]);
  });

  it("is what the volume says when it holds nothing of that", () => {
    expect(freeAmong({}, "refuse")).toEqual([3, 1]);
    expect(freeAmong({}, "mirror")).toEqual([3, 1]);
  });
});
