import { describe, expect, it } from "vitest";

import type { JournalText, PassRecord } from "../../../src/native/journal-types.ts";
import { nextPlace } from "../../../src/session/pass-chain.ts";
import { FakeNative } from "../../fixtures/fake-native.ts";

const MOMENT = { seconds: 0, nanoseconds: 0 };

function pass(number: number, kind: PassRecord["kind"], verdict: number): PassRecord {
  const receipt = `${number}`.repeat(64);
  const times = { ended: MOMENT, scanBegan: MOMENT, scanEnded: MOMENT };
  return { kind, number, verdict, receipt, ...times };
}

async function placeAfter(...passes: readonly PassRecord[]): ReturnType<typeof nextPlace> {
  const journal = { passes } as unknown as JournalText;
  const addon = new FakeNative().addonFor("target");
  return nextPlace({ ...addon, readJournal: () => Promise.resolve(journal) }, "/v");
}

describe("the place of a pass among those of its transfer", () => {
  it("is the first where the journal knows none, or there is no journal", async () => {
    expect(await placeAfter()).toEqual({ number: 1, previous: null });
    const addon = new FakeNative().addonFor("target");
    expect(await nextPlace(addon, "/v")).toEqual({ number: 1, previous: null });
  });

  it.each([
    ["stage", 0],
    ["stage", 41],
    ["cutover", 40],
    ["cutover", 42],
    ["cutover", 43],
  ] as const)("follows a %s with exit code %d", async (kind, verdict) => {
    const place = await placeAfter(pass(1, "stage", 0), pass(2, kind, verdict));
    expect(place).toEqual({ number: 3, previous: "2".repeat(64) });
  });

  it.each([0, 41])(
    "is that of a cutover with exit code %d, of which nobody is known to have heard",
    async (verdict) => {
      const unheard = pass(2, "cutover", verdict);
      const place = await placeAfter(pass(1, "stage", 0), unheard, unheard);
      expect(place).toEqual({ number: 2, previous: "1".repeat(64) });
      expect(await placeAfter(pass(1, "cutover", verdict))).toEqual({ number: 1, previous: null });
    },
  );
});
