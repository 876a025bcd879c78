/** How a session that came to its end is judged: pure, from what both sides say, so that both reach the same verdict. */

import type { ExitCode } from "../core/exit-codes.ts";
import { exitCodeRow } from "../core/exit-codes.ts";
import type { BothSides, ItemCounts, Verdict } from "../core/receipt.ts";
import { bytesText, quantityText } from "../core/units.ts";
import type { ItemClass, SessionResult } from "../native/types.ts";

interface Judgement {
  readonly code: ExitCode;
  readonly applies: (results: BothSides<SessionResult>, items: ItemCounts) => boolean;
  readonly message: (items: ItemCounts) => string;
  readonly next: string;
}

/** The first that applies decides. "skipped" never does: it was left out on purpose. */
const JUDGEMENTS: readonly Judgement[] = [
  {
    code: 43,
    applies: (results, items) => contentDiffers(results) || metadataDiffers(results, items),
    message: () => "The copy is finished, but the two sides' root digests differ.",
    next: "Do not use the copy; run the same command again, and report it if the digests differ again.",
  },
  {
    code: 40,
    applies: (_results, items) => items.unreadable + items["not-written"] > 0,
    message: (items) => `The copy is finished, but ${missingEntries(items)}.`,
    next: "Look at the items of the receipt; they name each entry and its reason.",
  },
  {
    code: 42,
    applies: (_results, items) => items.changed > 0,
    message: (items) =>
      `The copy is finished, but ${quantityText(items.changed, "file")} changed while being read.`,
    next: "Stop what writes to the source volume, then copy again into an empty volume.",
  },
  {
    code: 41,
    applies: (_results, items) => items["not-kept"] > 0,
    message: (items) =>
      `The copy is finished, but ${quantityText(items["not-kept"], "attribute")} could not be kept.`,
    next: "Look at the items of the receipt; they name each entry, the attribute and the reason.",
  },
];

function missingEntries(items: ItemCounts): string {
  const parts = [
    [items.unreadable, "read"],
    [items["not-written"], "written"],
  ] as const;
  return parts
    .filter(([count]) => count > 0)
    .map(([count, what]) => `${quantityText(count, "entry", "entries")} could not be ${what}`)
    .join(" and ");
}

/** Contents must agree, unless the target already says which entries it lacks. */
function contentDiffers({ source, target }: BothSides<SessionResult>): boolean {
  return source.roots.content !== target.roots.content && target.itemCounts["not-written"] === 0;
}

/** The metadata root covers what is called kept: an item explains a difference, silence does not. */
function metadataDiffers({ source, target }: BothSides<SessionResult>, items: ItemCounts): boolean {
  const explained = items["not-kept"] + items["not-written"] > 0;
  return source.roots.metadata !== target.roots.metadata && !explained;
}

export function judge(results: BothSides<SessionResult>): Verdict {
  const items = addCounts(results.source.itemCounts, results.target.itemCounts);
  const found = JUDGEMENTS.find((judgement) => judgement.applies(results, items));
  if (found === undefined) return verdict(0, everythingKept(results), "Nothing needs to be done.");
  return verdict(found.code, found.message(items), found.next);
}

function verdict(exitCode: ExitCode, message: string, next: string): Verdict {
  return { exitCode, exitName: exitCodeRow(exitCode).name, message, next };
}

function everythingKept({ target }: BothSides<SessionResult>): string {
  const files = quantityText(target.entries.files, "file");
  return `Everything was kept: ${files}, ${bytesText(target.bytes)}; both sides hold the same root digests.`;
}

export function addCounts(a: ItemCounts, b: ItemCounts): ItemCounts {
  const sum = (itemClass: ItemClass): number => a[itemClass] + b[itemClass];
  return {
    unreadable: sum("unreadable"),
    "not-written": sum("not-written"),
    "not-kept": sum("not-kept"),
    changed: sum("changed"),
    skipped: sum("skipped"),
  };
}

export function totalItems(counts: ItemCounts): number {
  return Object.values(counts).reduce((total, count) => total + count, 0);
}

/** Whether the target may forget that a copy was under way: not when the copy must not be used. */
export function isFinished(judged: Verdict): boolean {
  return judged.exitCode !== 43;
}
