/** Times as the journal holds them. */

import type { Moment } from "../native/types.ts";

/** From milliseconds since 1970. */
export function momentOf(ms: number): Moment {
  const seconds = Math.floor(ms / 1_000);
  return { seconds, nanoseconds: (ms - seconds * 1_000) * 1_000_000 };
}

/** To the millisecond, in UTC; a clock that was far off is shown as its seconds. */
export function momentText({ seconds, nanoseconds }: Moment): string {
  const date = new Date(seconds * 1_000 + Math.floor(nanoseconds / 1_000_000));
  return Number.isNaN(date.getTime()) ? `second ${seconds}` : date.toISOString();
}
