/** How far a copy was when it ended early, added to the sentence that says why. */

import { PvferryError } from "../core/errors.ts";
import { bytesText, quantityText } from "../core/units.ts";
import type { Counters } from "./counters.ts";

export function withHowFar(error: PvferryError, counters: Counters | null): PvferryError {
  if (counters === null) return error;
  const files = quantityText(counters.filesDone, "file");
  return new PvferryError({
    code: error.code,
    message: `${error.message} By then ${files} with ${bytesText(counters.bytesDone)} were copied.`,
    next: error.next,
    cause: error.cause,
  });
}
