/**
 * Whether a path loses packets by itself, or only when this transfer fills its queue. Pure: it is told what the kernel
 * says of the lanes, several times in a second.
 */

import type { PathReading } from "../native/types.ts";

/** A full queue makes round trips this much longer than they are at best. A router's whim does not. */
const QUEUE_STRETCH = 1.25;

/** Whoever fills a queue loses much at once; a path that loses by itself does so again and again. */
const OCCASIONS = 4;

/** Below this, one in so many, even a single stream gets on. */
const ONE_IN = 5_000;

export class LossWatch {
  #before: PathReading | null = null;
  /** While there was no queue: what was sent, what of it was sent again, and on how many occasions. */
  #sent = 0;
  #repeated = 0;
  #occasions = 0;

  /** Once true, always true. */
  get isLossy(): boolean {
    return this.#occasions >= OCCASIONS && this.#repeated * ONE_IN >= this.#sent;
  }

  add(reading: PathReading): void {
    const before = this.#before;
    this.#before = reading;
    if (before === null || this.isLossy || hasQueue(before) || hasQueue(reading)) return;
    const repeated = reading.repeatedSegments - before.repeatedSegments;
    this.#sent += reading.sentSegments - before.sentSegments;
    this.#repeated += repeated;
    if (repeated > 0) this.#occasions += 1;
  }
}

/** Something waits before the bottleneck. */
export function hasQueue({
  roundTripUs,
  leastRoundTripUs,
}: Pick<PathReading, "roundTripUs" | "leastRoundTripUs">): boolean {
  return roundTripUs > leastRoundTripUs * QUEUE_STRETCH;
}
