/** Paths between two clusters, and what is copied over them. */

import type { LongPathFacts } from "../../test/bed/network/long-path.ts";

export interface PathFacts extends LongPathFacts {
  /** rsync would take minutes for 200 MB. Its rate does not depend on how much there is. */
  readonly rivalIsSlow: boolean;
}

export const PATHS = {
  clean: { rateMbit: 200, roundTripMs: 50, lossPercent: 0, rivalIsSlow: false },
  lossy: { rateMbit: 200, roundTripMs: 50, lossPercent: 1, rivalIsSlow: true },
  far: { rateMbit: 200, roundTripMs: 100, lossPercent: 0.1, rivalIsSlow: true },
  fast: { rateMbit: 1000, roundTripMs: 50, lossPercent: 0, rivalIsSlow: false },
} as const satisfies { readonly [name: string]: PathFacts };

export function pathNamed(name: string): PathFacts {
  const found = (PATHS as { readonly [known: string]: PathFacts })[name];
  if (found !== undefined) return found;
  throw new Error(`There is no path ${name}; there are ${Object.keys(PATHS).join(", ")}.`);
}

export function pathText({ rateMbit, roundTripMs, lossPercent }: PathFacts): string {
  const loss = lossPercent === 0 ? "no loss" : `${lossPercent} % of the packets lost`;
  return `${rateMbit} Mbit/s, ${roundTripMs} ms there and back, ${loss}`;
}
