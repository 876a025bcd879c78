/** How a session that came to its end is judged: pure, from what both sides say, so that both reach the same verdict. */

import type { ExitCode } from "../core/exit-codes.ts";
import { exitCodeRow } from "../core/exit-codes.ts";
import {
  PASS_KINDS,
  type BothSides,
  type ItemCounts,
  type PassKind,
  type Verdict,
} from "../core/receipt.ts";
import { bytesText, quantityText } from "../core/units.ts";
import type { ItemClass, SessionResult } from "../native/types.ts";

interface Judgement {
  readonly code: ExitCode;
  /** The passes that may end with it. */
  readonly passes: readonly PassKind[];
  readonly applies: (results: BothSides<SessionResult>, items: ItemCounts) => boolean;
  /** Completes "The stage pass is finished, but ...". */
  readonly but: (items: ItemCounts, results: BothSides<SessionResult>) => string;
  readonly next: string;
}

/** The first that applies decides. "skipped" never does: it was left out on purpose; nor does "repaired". */
const JUDGEMENTS: readonly Judgement[] = [
  {
    code: 43,
    passes: PASS_KINDS,
    applies: (_results, items) => items.corrupted > 0,
    but: ({ corrupted }) =>
      `${quantityText(corrupted, "file")} could not be read back from the target's disk as written`,
    next: "Look for what is wrong with the target's disk; the items of the receipt name each file.",
  },
  {
    code: 43,
    passes: PASS_KINDS,
    applies: (results, items) => contentDiffers(results) || metadataDiffers(results, items),
    but: () => "the two sides' root digests differ",
    next: "Do not use the copy; run the same command again, and report it if the digests differ again.",
  },
  {
    code: 40,
    passes: PASS_KINDS,
    applies: (_results, items) => items.unreadable + items["not-written"] > 0,
    but: missingEntries,
    next: "Look at the items of the receipt; they name each entry and its reason.",
  },
  {
    code: 42,
    // A stage pass is made while the application writes.
    passes: ["cutover"],
    applies: (_results, items) => items.changed > 0,
    but: (items) =>
      `${quantityText(items.changed, "entry", "entries")} of the source changed after it had begun`,
    next: "Stop what writes to the source volume, then run the same again; the items of the receipt name each entry.",
  },
  {
    code: 41,
    passes: PASS_KINDS,
    applies: (_results, items) => items["not-kept"] > 0,
    but: notKept,
    next: "Look at the items of the receipt; they name each entry, the attribute and the reason.",
  },
];

function missingEntries(items: ItemCounts): string {
  return both([
    [items.unreadable, "entry", "entries", "read"],
    [items["not-written"], "entry", "entries", "written"],
  ]);
}

function notKept(items: ItemCounts, { target }: BothSides<SessionResult>): string {
  return both([
    [items["not-kept"] - target.notRemoved, "attribute", "attributes", "kept"],
    [target.notRemoved, "extra entry", "extra entries", "removed"],
  ]);
}

/** "2 entries could not be read and 1 entry could not be written"; what does not occur is not said. */
function both(parts: readonly (readonly [number, string, string, string])[]): string {
  return parts
    .filter(([count]) => count > 0)
    .map(([count, one, many, what]) => `${quantityText(count, one, many)} could not be ${what}`)
    .join(" and ");
}

/** Contents must agree, unless the target already says which entries it lacks. */
function contentDiffers({ source, target }: BothSides<SessionResult>): boolean {
  return source.roots.content !== target.roots.content && target.itemCounts["not-written"] === 0;
}

/** The metadata root covers what is called kept: an item explains a difference, silence does not. */
function metadataDiffers({ source, target }: BothSides<SessionResult>, items: ItemCounts): boolean {
  // An extra entry that stays is in neither root, and explains nothing.
  const explained = items["not-kept"] - target.notRemoved + items["not-written"] > 0;
  return source.roots.metadata !== target.roots.metadata && !explained;
}

/** `unverified` files were sent without digests. */
export function judge(
  pass: PassKind,
  results: BothSides<SessionResult>,
  unverified: number,
): Verdict {
  const items = addCounts(results.source.itemCounts, results.target.itemCounts);
  const found = JUDGEMENTS.find(
    ({ passes, applies }) => passes.includes(pass) && applies(results, items),
  );
  if (found !== undefined) {
    return verdict(
      found.code,
      `The ${pass} pass is finished, but ${found.but(items, results)}.`,
      found.next,
    );
  }
  if (pass === "stage") return verdict(0, staged(results, items, unverified), AFTER_STAGE);
  return verdict(0, everythingKept(results, unverified), "Nothing needs to be done.");
}

const AFTER_STAGE = "Stop the application, then run again with --pass cutover.";

function staged(
  { target }: BothSides<SessionResult>,
  { changed }: ItemCounts,
  unverified: number,
): string {
  const count = changed === 0 ? "no entry" : quantityText(changed, "entry", "entries");
  const said = [`${count} changed while being read`, ...ofThem(unverified, NOT_VERIFIED)].join(
    ", ",
  );
  return `The stage pass is finished: ${filesText(target)}; ${said}.`;
}

const NOT_VERIFIED = "sent and not verified";

/** Nothing where there are none. */
function ofThem(files: number, how: string): readonly string[] {
  return files === 0 ? [] : [`${quantityText(files, "file")} of them ${how}`];
}

export function verdict(exitCode: ExitCode, message: string, next: string): Verdict {
  return { exitCode, exitName: exitCodeRow(exitCode).name, message, next };
}

function everythingKept({ target }: BothSides<SessionResult>, unverified: number): string {
  const doubts = [
    ...ofThem(target.assumedFiles, "taken for equal by size and time"),
    ...ofThem(unverified, NOT_VERIFIED),
  ];
  const proof = doubts.length === 0 ? "both sides hold the same root digests" : doubts.join(", ");
  return `Everything was kept: ${filesText(target)}; ${proof}.`;
}

function filesText({ entries, bytes }: SessionResult): string {
  return `${quantityText(entries.files, "file")}, ${bytesText(bytes)}`;
}

export function addCounts(a: ItemCounts, b: ItemCounts): ItemCounts {
  const sum = (itemClass: ItemClass): number => a[itemClass] + b[itemClass];
  return {
    unreadable: sum("unreadable"),
    "not-written": sum("not-written"),
    "not-kept": sum("not-kept"),
    changed: sum("changed"),
    skipped: sum("skipped"),
    repaired: sum("repaired"),
    corrupted: sum("corrupted"),
  };
}

export function totalItems(counts: ItemCounts): number {
  return Object.values(counts).reduce((total, count) => total + count, 0);
}

/**
 * Whether the target may forget that a transfer was under way: not when another pass is to follow, after a stage pass or
 * because this one's copy is not what the source is now.
 */
export function isFinished(pass: PassKind, judged: Verdict): boolean {
  return pass === "cutover" && judged.exitCode !== 42 && judged.exitCode !== 43;
}
