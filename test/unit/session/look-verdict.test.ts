import { describe, expect, it } from "vitest";

import type { LookMode } from "../../../src/core/mode.ts";
import type { SessionResult } from "../../../src/native/types.ts";
import { judgeLook } from "../../../src/session/look-verdict.ts";
import { fakeResult } from "../../fixtures/fake-native.ts";

const NONE = {
  unreadable: 0,
  "not-written": 0,
  "not-kept": 0,
  changed: 0,
  skipped: 0,
  repaired: 0,
  corrupted: 0,
};

interface Case {
  readonly mode: LookMode;
  readonly items?: Partial<SessionResult["itemCounts"]>;
  readonly found?: Partial<SessionResult["differences"]>;
  readonly pass?: "stage" | "cutover";
  readonly roots?: SessionResult["roots"];
}

function judged({ mode, items = {}, found = {}, pass = "cutover", roots }: Case) {
  const differences = { extra: 0, missing: 0, replaced: 0, attributes: 0, ...found };
  const target = fakeResult({ differences, ...(roots === undefined ? {} : { roots }) });
  const source = fakeResult({ itemCounts: { ...NONE, ...items }, wouldMoveBytes: 1_500_000 });
  return judgeLook(mode, pass, { source, target });
}

describe("a comparison", () => {
  it.each<[number, Omit<Case, "mode">]>([
    [0, {}],
    [44, { found: { extra: 1 } }],
    // That they differ is certain, whatever else could not be seen.
    [44, { found: { attributes: 1 }, items: { unreadable: 1, changed: 1 } }],
    [40, { items: { unreadable: 1, changed: 1 } }],
    [42, { items: { changed: 1 } }],
    [0, { items: { changed: 1, skipped: 1 }, pass: "stage" }],
    [41, { items: { "not-kept": 1 } }],
    [43, { roots: { content: "3".repeat(64), metadata: "2".repeat(64) } }],
  ])("ends with %i", (code, what) => {
    expect(judged({ mode: "compare", ...what })).toMatchObject({ exitCode: code });
  });

  it("says what there is", () => {
    const found = { extra: 1, missing: 2, replaced: 3, attributes: 4 };
    expect(judged({ mode: "compare", found, items: { unreadable: 5 } }).message).toBe(
      "The volumes differ: 2 entries missing on the target, 1 entry only there, 3 entries with other contents, " +
        "4 entries with other attributes or links; 5 entries could not be read.",
    );
  });
});

describe("a dry run", () => {
  it.each<[number, Omit<Case, "mode">]>([
    [0, { found: { extra: 1, missing: 1 } }],
    [40, { found: { extra: 1 }, items: { unreadable: 1 } }],
    [42, { items: { changed: 1 } }],
    [0, { items: { changed: 1 }, pass: "stage" }],
    // Nobody has read what is taken for equal.
    [0, { roots: { content: "3".repeat(64), metadata: "4".repeat(64) } }],
  ])("ends with %i", (code, what) => {
    expect(judged({ mode: "dry-run", ...what })).toMatchObject({ exitCode: code });
  });

  it("says what a copy would do", () => {
    const found = { extra: 1, missing: 2, replaced: 3, attributes: 4 };
    expect(judged({ mode: "dry-run", found })).toMatchObject({
      message:
        "A copy would make 2 entries, replace 3 entries, change attributes or links of 4 entries, remove 1 entry; " +
        "1.50 MB would be sent.",
      next: "Nothing was changed; run the same without --dry-run to copy.",
    });
    expect(judged({ mode: "dry-run" }).message).toBe("A copy would change nothing.");
  });
});
