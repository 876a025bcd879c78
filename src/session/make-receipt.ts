/** The receipt from what both sides know at the end. Pure; both sides call it with the same values. */

import { LIMITS } from "../config/limits.ts";
import { RECEIPT_VERSION, type BothSides, type Receipt } from "../core/receipt.ts";
import type { Item, SessionResult } from "../native/types.ts";
import { addCounts, judge, totalItems } from "./verdict.ts";

export interface Outcome {
  readonly transfer: string;
  readonly volume: string;
  readonly pass: string;
  readonly agents: BothSides<string>;
  readonly startedAt: string;
  readonly endedAt: string;
  readonly lanes: number;
  readonly lanesLost: number;
  readonly results: BothSides<SessionResult>;
  /** In the order of arrival, each side's own first ones. */
  readonly items: BothSides<readonly Item[]>;
}

export function makeReceipt(outcome: Outcome): Receipt {
  const { source, target } = outcome.results;
  const durationMs = Math.max(0, Date.parse(outcome.endedAt) - Date.parse(outcome.startedAt));
  const counted = totalItems(addCounts(source.itemCounts, target.itemCounts));
  const items = [...outcome.items.source, ...outcome.items.target].slice(0, LIMITS.receiptItems);
  return {
    receipt: RECEIPT_VERSION,
    ...judge(outcome.results),
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
    wireBytes: source.wireBytes,
    bytesPerSecond: Math.round((source.movedBytes / Math.max(1, durationMs)) * 1_000),
    lanes: outcome.lanes,
    reconnects: outcome.lanesLost,
    resent: source.resent,
    roots: { source: source.roots, target: target.roots },
    itemCounts: { source: source.itemCounts, target: target.itemCounts },
    notPreserved: { source: source.notPreserved, target: target.notPreserved },
    items,
    itemsOmitted: Math.max(0, counted - items.length),
  };
}
