import fc from "fast-check";
import { describe, expect, it } from "vitest";

import { LIMITS } from "../../../src/config/limits.ts";
import type { Item } from "../../../src/native/types.ts";
import { ItemLedger } from "../../../src/session/item-ledger.ts";
import { fakeItem } from "../../fixtures/fake-item.ts";

function kept(items: readonly Item[]): readonly Item[] {
  const ledger = new ItemLedger(() => undefined);
  for (const item of items) ledger.add([item]);
  const { source, target } = ledger.kept;
  return [...source, ...target];
}

function shuffled<T>(values: readonly T[], next: () => number): T[] {
  return values
    .map((value) => ({ value, key: next() }))
    .toSorted((a, b) => a.key - b.key)
    .map(({ value }) => value);
}

describe("the items that a receipt lists", () => {
  it("are the same in the same order on both sides, whichever way they came", () => {
    const items = fc.array(
      fc.record({ path: fc.string({ maxLength: 3 }), what: fc.constantFrom("data", "owner") }),
      { maxLength: 30 },
    );
    fc.assert(
      fc.property(items, fc.infiniteStream(fc.nat()), (made, keys) => {
        const all = [
          ...made.map((part) => ({ ...fakeItem("source", "x"), ...part })),
          fakeItem("target", "b"),
          fakeItem("target", "a"),
        ];
        const mixed = shuffled(all, () => Number(keys.next().value));
        expect(kept(mixed)).toEqual(kept(all));
      }),
    );
  });

  it("are ordered by the bytes of their path", () => {
    // U+FF5E comes before U+1F600 in bytes, after it in UTF-16.
    const items = ["\u{1f600}", "\uff5e", "b"].map((path) => fakeItem("source", path));
    expect(kept(items).map(({ path }) => path)).toEqual(["b", "\uff5e", "\u{1f600}"]);
  });

  it("are the first of all, also when there are too many, or too large ones", () => {
    const name = (number: number): string => String(number).padStart(6, "0");
    const many = Array.from({ length: 3 * LIMITS.receiptItems }, (_, at) =>
      fakeItem("source", name(at)),
    );
    expect(kept(many.toReversed())).toEqual(many.slice(0, LIMITS.receiptItems));

    const detail = "x".repeat(LIMITS.receiptItemBytes / 4);
    const large = Array.from({ length: 12 }, (_, at) => ({
      ...fakeItem("source", name(2 * at)),
      detail,
    }));
    const small = fakeItem("source", name(17));
    expect(kept([...large, small])).toEqual(large.slice(0, 3));
    expect(kept([small, ...large.toReversed()])).toEqual(large.slice(0, 3));
  });
});
