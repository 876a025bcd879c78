/** The receipt from what both sides know at the end. Pure; both sides call it with the same values. */

import { LIMITS } from "../config/limits.ts";
import { listedDifference } from "../core/itemize.ts";
import { isLook, type Mode } from "../core/mode.ts";
import {
  RECEIPT_VERSION,
  type BothSides,
  type Differences,
  type KnownBy,
  type Pass,
  type Receipt,
  type ReceiptRoots,
  type Verdict,
  type Verification,
} from "../core/receipt.ts";
import type { Difference, Item, SessionResult, VerifyMode } from "../native/types.ts";
import { judgeLook, totalDifferences } from "./look-verdict.ts";
import { addCounts, judge, totalItems } from "./verdict.ts";

export interface Outcome {
  readonly transfer: string;
  readonly volume: string;
  readonly mode: Mode;
  readonly pass: Pass;
  readonly previous: string | null;
  readonly rules: readonly string[];
  readonly agents: BothSides<string>;
  readonly startedAt: string;
  readonly endedAt: string;
  readonly sessions: number;
  readonly lanes: number;
  readonly lanesLost: number;
  readonly verify: VerifyMode;
  readonly results: BothSides<SessionResult>;
  /** Each side's own first ones, in the order of item-order.ts. */
  readonly items: BothSides<readonly Item[]>;
  /** The first ones, in the order of difference-ledger.ts. */
  readonly differences: readonly Difference[];
}

export function makeReceipt(outcome: Outcome): Receipt {
  const { source, target } = outcome.results;
  const durationMs = Math.max(0, Date.parse(outcome.endedAt) - Date.parse(outcome.startedAt));
  const counted = totalItems(addCounts(source.itemCounts, target.itemCounts));
  const items = [...outcome.items.source, ...outcome.items.target].slice(0, LIMITS.receiptItems);
  return {
    receipt: RECEIPT_VERSION,
    ...judged(outcome),
    transfer: outcome.transfer,
    volume: outcome.volume,
    mode: outcome.mode,
    pass: outcome.pass,
    previous: outcome.previous,
    agents: outcome.agents,
    startedAt: outcome.startedAt,
    endedAt: outcome.endedAt,
    durationMs,
    entries: inOrder(target.entries),
    logicalBytes: target.bytes,
    movedBytes: source.movedBytes,
    matchedBytes: source.matchedBytes,
    deleted: target.deleted,
    rules: outcome.rules,
    excluded: { source: source.excluded, target: target.excluded },
    knownBy: knownBy(outcome),
    verify: verification(outcome.verify, target),
    differences: differencesOf(outcome),
    wireBytes: source.wireBytes,
    bytesPerSecond: Math.round((source.movedBytes / Math.max(1, durationMs)) * 1_000),
    sessions: outcome.sessions,
    lanes: outcome.lanes,
    reconnects: outcome.lanesLost,
    resent: source.resent,
    roots: { source: rootsOf(source, outcome), target: rootsOf(target, outcome) },
    itemCounts: { source: inOrder(source.itemCounts), target: inOrder(target.itemCounts) },
    notPreserved: {
      source: source.notPreserved.map(inOrder),
      target: target.notPreserved.map(inOrder),
    },
    items,
    itemsOmitted: Math.max(0, counted - items.length),
  };
}

/** One side has its result from the native core, the other from the wire: the text must not tell. */
function inOrder<T extends object>(counts: T): T {
  const sorted = Object.entries(counts).toSorted(([a], [b]) => (a < b ? -1 : 1));
  return Object.fromEntries(sorted) as T;
}

/** Nothing is sent by a session that only looks. */
function knownBy({ mode, verify, results }: Pick<Outcome, "mode" | "verify" | "results">): KnownBy {
  const { entries, comparedFiles: compared, assumedFiles: assumed, readBack } = results.target;
  const read = readBack?.files ?? 0;
  const sent = isLook(mode) ? 0 : entries.files - compared - assumed - read;
  const verified = verify !== "none";
  return {
    streamed: verified ? sent : 0,
    readBack: read,
    compared,
    assumed,
    unverified: verified ? 0 : sent,
  };
}

function verification(mode: VerifyMode, { readBack, itemCounts }: SessionResult): Verification {
  if (readBack === null) return { mode, readBack };
  return { mode, readBack: { ...inOrder(readBack), repaired: itemCounts.repaired } };
}

function judged(outcome: Outcome): Verdict {
  const { mode, pass, results } = outcome;
  if (isLook(mode)) return judgeLook(mode, pass.kind, results);
  return judge(pass.kind, results, knownBy(outcome).unverified);
}

function differencesOf({ mode, results, differences }: Outcome): Differences | null {
  if (!isLook(mode)) return null;
  const counts = results.target.differences;
  return {
    counts: inOrder(counts),
    wouldMoveBytes: results.source.wouldMoveBytes,
    listed: differences.map(listedDifference),
    omitted: Math.max(0, totalDifferences(counts) - differences.length),
  };
}

/** Nothing is said of the bytes of files that nobody has compared: not by a dry run, nor of files that differ (the target counts). */
function rootsOf({ roots, assumedFiles }: SessionResult, outcome: Outcome): ReceiptRoots {
  const alike = totalDifferences(outcome.results.target.differences) === 0;
  const known = assumedFiles === 0 && knownBy(outcome).unverified === 0;
  const covers = outcome.mode !== "dry-run" && known && alike;
  return { content: covers ? roots.content : null, metadata: roots.metadata };
}
