/** The receipt from what both sides know at the end. Pure; both sides call it with the same values. */

import { Buffer } from "node:buffer";

import { LIMITS } from "../config/limits.ts";
import { bytesOfName } from "../core/names.ts";
import {
  RECEIPT_VERSION,
  type BothSides,
  type KnownBy,
  type Pass,
  type Receipt,
  type ReceiptRoots,
} from "../core/receipt.ts";
import type { Item, SessionResult } from "../native/types.ts";
import { addCounts, judge, totalItems } from "./verdict.ts";

export interface Outcome {
  readonly transfer: string;
  readonly volume: string;
  readonly pass: Pass;
  readonly agents: BothSides<string>;
  readonly startedAt: string;
  readonly endedAt: string;
  readonly sessions: number;
  readonly lanes: number;
  readonly lanesLost: number;
  readonly results: BothSides<SessionResult>;
  /** In the order of arrival, each side's own first ones. The receipt has them in another, see byPlace. */
  readonly items: BothSides<readonly Item[]>;
}

export function makeReceipt(outcome: Outcome): Receipt {
  const { source, target } = outcome.results;
  const durationMs = Math.max(0, Date.parse(outcome.endedAt) - Date.parse(outcome.startedAt));
  const counted = totalItems(addCounts(source.itemCounts, target.itemCounts));
  const first = [...outcome.items.source, ...outcome.items.target].slice(0, LIMITS.receiptItems);
  const items = byPlace(first);
  return {
    receipt: RECEIPT_VERSION,
    ...judge(outcome.pass.kind, outcome.results),
    transfer: outcome.transfer,
    volume: outcome.volume,
    pass: outcome.pass,
    agents: outcome.agents,
    startedAt: outcome.startedAt,
    endedAt: outcome.endedAt,
    durationMs,
    entries: target.entries,
    logicalBytes: target.bytes,
    movedBytes: source.movedBytes,
    deleted: target.deleted,
    knownBy: knownBy(target),
    wireBytes: source.wireBytes,
    bytesPerSecond: Math.round((source.movedBytes / Math.max(1, durationMs)) * 1_000),
    sessions: outcome.sessions,
    lanes: outcome.lanes,
    reconnects: outcome.lanesLost,
    resent: source.resent,
    roots: { source: rootsOf(source), target: rootsOf(target) },
    itemCounts: { source: source.itemCounts, target: target.itemCounts },
    notPreserved: { source: source.notPreserved, target: target.notPreserved },
    items,
    itemsOmitted: Math.max(0, counted - items.length),
  };
}

function knownBy({ entries, comparedFiles, assumedFiles }: SessionResult): KnownBy {
  const streamed = entries.files - comparedFiles - assumedFiles;
  return { streamed, compared: comparedFiles, assumed: assumedFiles };
}

/** Nothing is said of the bytes of files that nobody has read. */
function rootsOf({ roots, assumedFiles }: SessionResult): ReceiptRoots {
  return { content: assumedFiles === 0 ? roots.content : null, metadata: roots.metadata };
}

/** Both sides list the same items in the same order, in whichever order their threads have met them. */
function byPlace(items: readonly Item[]): readonly Item[] {
  return items
    .map((item) => ({ item, path: bytesOfName(item) }))
    .toSorted((a, b) => comparePlaces(a.item, b.item, a.path, b.path))
    .map(({ item }) => item);
}

function comparePlaces(a: Item, b: Item, aPath: Buffer, bPath: Buffer): number {
  return (
    compareText(a.side, b.side) ||
    Buffer.compare(aPath, bPath) ||
    compareText(a.what, b.what) ||
    compareText(a.class, b.class) ||
    compareText(a.detail, b.detail)
  );
}

/** By code units, whatever the locale. */
function compareText(a: string, b: string): number {
  if (a === b) return 0;
  return a < b ? -1 : 1;
}
