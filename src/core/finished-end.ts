/** How a target ends whose copy was finished before it began: with the outcome of then, and without a receipt. */

import type { Pass, Verdict } from "./receipt.ts";

/** What `--json` prints in place of a receipt, which has a member `receipt` and not this one's `receiptDigest`. */
export interface FinishedEnd extends Verdict {
  readonly transfer: string;
  readonly volume: string;
  /** The pass that finished the copy. */
  readonly pass: Pick<Pass, "kind" | "number">;
  /** When that was, by the clock of the target that made it. */
  readonly endedAt: string;
  /** BLAKE3 of that pass's receipt, 64 hex digits: whoever has the receipt can tell. */
  readonly receiptDigest: string;
}
