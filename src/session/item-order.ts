/** The order of items in a receipt: the same on both sides, in whichever order their threads have met them. */

import { Buffer } from "node:buffer";

import { bytesOfName } from "../core/names.ts";
import type { Item } from "../native/types.ts";

/** By path in byte order, then by what it is about. */
export function compareItems(a: Item, b: Item): number {
  return (
    Buffer.compare(bytesOfName(a), bytesOfName(b)) ||
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
