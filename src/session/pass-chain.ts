/** Where a pass stands among those of its transfer: each receipt names the one before, as the target's journal knows it. */

import { receiptJson, type Receipt } from "../core/receipt.ts";
import type { PassRecord } from "../native/journal-types.ts";
import type { Addon } from "../native/types.ts";
import type { MessageOf } from "../wire/control-messages.ts";
import { momentOf } from "./moment.ts";

type PassPlace = MessageOf<"durable">["pass"];

/** A session that only looks is no pass. */
export const NO_PLACE: PassPlace = { number: 0, previous: null };

/**
 * The place of the pass that ends now. Rejects with what readJournal rejects with. A cutover that left nothing undone
 * was to be the last: where the journal still has it, nobody is known to have heard of its end, and the pass that
 * follows it all the same is that one once more, in its place.
 */
export async function nextPlace(addon: Addon, volume: string): Promise<PassPlace> {
  const passes = (await addon.readJournal(volume))?.passes ?? [];
  const last = passes.findLast((pass) => !leftNothing(pass));
  return { number: (last?.number ?? 0) + 1, previous: last?.receipt ?? null };
}

/** With exit code 40 a torn file may have kept the folder, though everybody had heard. */
function leftNothing({ kind, verdict }: PassRecord): boolean {
  return kind === "cutover" && (verdict === 0 || verdict === 41);
}

/** What the journal is to remember of a pass that another one may follow. */
export function passRecord(
  addon: Addon,
  receipt: Receipt,
  scan: MessageOf<"settled">["scan"],
): PassRecord {
  return {
    kind: receipt.pass.kind,
    number: receipt.pass.number,
    verdict: receipt.exitCode,
    receipt: addon.digestText(receiptJson(receipt)),
    ended: momentOf(Date.parse(receipt.endedAt)),
    scanBegan: momentOf(Date.parse(scan.began)),
    scanEnded: momentOf(Date.parse(scan.ended)),
  };
}
