/** Times as the journal holds them. */

import type { Moment } from "../native/types.ts";

/** From milliseconds since 1970. */
export function momentOf(ms: number): Moment {
  const seconds = Math.floor(ms / 1_000);
  return { seconds, nanoseconds: (ms - seconds * 1_000) * 1_000_000 };
}
