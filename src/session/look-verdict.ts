/** How a session is judged that wrote nothing: a dry run, or a comparison. Pure, like the verdict on a copy. */

import type { ExitCode } from "../core/exit-codes.ts";
import type { LookMode } from "../core/mode.ts";
import type { BothSides, ItemCounts, PassKind, Verdict } from "../core/receipt.ts";
import { bytesText, quantityText } from "../core/units.ts";
import type { SessionResult } from "../native/types.ts";
import { addCounts, verdict } from "./verdict.ts";

interface Found {
  readonly mode: LookMode;
  readonly results: BothSides<SessionResult>;
  readonly items: ItemCounts;
  /** The source is in use, as its user has said. */
  readonly mayChange: boolean;
}

interface Row {
  readonly code: ExitCode;
  readonly applies: (found: Found) => boolean;
  readonly message: (found: Found) => string;
  readonly next: string;
}

const ITEMS = "Look at the items of the receipt; they name each entry and its reason.";

/** The first that applies decides. That volumes differ is certain, whatever else could not be seen. */
const ROWS: readonly Row[] = [
  {
    code: 44,
    applies: ({ mode, results }) =>
      mode === "compare" && totalDifferences(results.target.differences) > 0,
    message: (found) =>
      `The volumes differ: ${differencesText(found)}${found.items.unreadable > 0 ? `; ${unreadText(found)}` : ""}.`,
    next: "Look at the list of differences; a copy onto the target with --existing mirror would end them.",
  },
  {
    code: 40,
    applies: ({ items }) => items.unreadable > 0,
    message: (found) => `${FINISHED[found.mode]}, but ${unreadText(found)}.`,
    next: ITEMS,
  },
  {
    code: 42,
    applies: ({ items, mayChange }) => items.changed > 0 && !mayChange,
    message: ({ mode, items }) =>
      `${FINISHED[mode]}, but ${quantityText(items.changed, "entry", "entries")} changed meanwhile.`,
    next: "Stop what writes to the volumes, or say with --pass stage that the source is in use; the items of the receipt name each entry.",
  },
  {
    code: 43,
    applies: ({ mode, results: { source, target } }) =>
      mode === "compare" &&
      (source.roots.content !== target.roots.content ||
        source.roots.metadata !== target.roots.metadata),
    message: () => "The comparison found no difference, but the two sides' root digests differ.",
    next: "Run the same command again, and report it if the digests differ again.",
  },
  {
    code: 41,
    applies: ({ items }) => items["not-kept"] > 0,
    message: ({ mode, items }) =>
      `${FINISHED[mode]}, but ${quantityText(items["not-kept"], "attribute")} could not be read.`,
    next: ITEMS,
  },
  {
    code: 0,
    applies: ({ mode }) => mode === "compare",
    message: ({ results: { target } }) =>
      `The volumes are alike: ${quantityText(target.entries.files, "file")}, ${bytesText(target.bytes)}; both sides hold the same root digests.`,
    next: "Nothing needs to be done.",
  },
];

const FINISHED: { readonly [mode in LookMode]: string } = {
  "dry-run": "The dry run is finished",
  compare: "The comparison is finished",
};

const AFTER_DRY_RUN = "Nothing was changed; run the same without --dry-run to copy.";

export function judgeLook(
  mode: LookMode,
  pass: PassKind,
  results: BothSides<SessionResult>,
): Verdict {
  const items = addCounts(results.source.itemCounts, results.target.itemCounts);
  const found: Found = { mode, results, items, mayChange: pass === "stage" };
  const row = ROWS.find(({ applies }) => applies(found));
  if (row !== undefined) return verdict(row.code, row.message(found), row.next);
  const { differences } = found.results.target;
  if (totalDifferences(differences) === 0) {
    return verdict(0, "A copy would change nothing.", "Nothing needs to be done.");
  }
  return verdict(0, `A copy would ${wouldText(found)}.`, AFTER_DRY_RUN);
}

export function totalDifferences(counts: SessionResult["differences"]): number {
  return Object.values(counts).reduce((total, count) => total + count, 0);
}

function unreadText({ items }: Found): string {
  return `${quantityText(items.unreadable, "entry", "entries")} could not be read`;
}

function differencesText({ results }: Found): string {
  const { missing, extra, replaced, attributes } = results.target.differences;
  return partsText([
    [missing, (text) => `${text} missing on the target`],
    [extra, (text) => `${text} only there`],
    [replaced, (text) => `${text} with other contents`],
    [attributes, (text) => `${text} with other attributes or links`],
  ]);
}

function wouldText({ results }: Found): string {
  const { missing, extra, replaced, attributes } = results.target.differences;
  const parts = partsText([
    [missing, (text) => `make ${text}`],
    [replaced, (text) => `replace ${text}`],
    [attributes, (text) => `change attributes or links of ${text}`],
    [extra, (text) => `remove ${text}`],
  ]);
  return `${parts}; ${bytesText(results.source.wouldMoveBytes)} would be sent`;
}

type Part = readonly [count: number, words: (text: string) => string];

function partsText(parts: readonly Part[]): string {
  return parts
    .filter(([count]) => count > 0)
    .map(([count, words]) => words(quantityText(count, "entry", "entries")))
    .join(", ");
}
