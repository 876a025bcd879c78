/** From which moment of the source on a file may have been written to unseen since an earlier session copied it. */

import type { JournalText } from "../native/journal-types.ts";
import type { Moment } from "../native/types.ts";
import { momentOf } from "./moment.ts";

/** The coarsest time stamps there are (FAT). A write within the same stamp as the one before leaves no trace in mtime. */
const COARSEST_MS = 2_000;

/** Before every file. */
const EVER: Moment = { seconds: -62_135_596_800, nanoseconds: 0 };

/**
 * The beginning of the transfer's first session, less the coarsest stamp, by the source's clock: a file that old had not
 * been touched for a while when any session read it. `sourceClock` is what the source's clock shows `now`; the time that
 * its message has taken only makes the moment earlier. A journal that has lost the first session says nothing.
 */
export function racyFrom(journal: JournalText | null, sourceClock: string, now: number): Moment {
  const first = journal?.sessions[0];
  if (first?.epoch !== 1) return EVER;
  const began = first.began.seconds * 1_000 + Math.floor(first.began.nanoseconds / 1_000_000);
  return momentOf(began + (Date.parse(sourceClock) - now) - COARSEST_MS);
}
