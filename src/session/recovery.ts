/**
 * Whether a broken session is followed by another one, after which pause, and until when. The clock starts when a
 * session breaks that had moved something; sessions that move nothing do not start it anew, so that a path that lets
 * nothing through comes to an end, however often it lets a hello pass. It does not start at the last byte that moved:
 * a volume may be flushed or counted for longer than that before anything breaks.
 */

import { LIMITS } from "../config/limits.ts";
import { fullJitterMs } from "../core/back-off.ts";
import { PvferryError } from "../core/errors.ts";
import { durationText } from "../core/units.ts";
import type { Counters } from "./counters.ts";

const BACK_OFF = { firstMs: LIMITS.newSessionFirstMs, longestMs: LIMITS.newSessionLongestMs };

export class Recovery {
  readonly #timeoutMs: number;
  readonly #now: () => number;
  #until: number | null = null;
  /** Sessions in a row that broke without having moved anything, and the one before them. */
  #failures = 0;

  constructor(timeoutMs: number, now: () => number = () => performance.now()) {
    this.#timeoutMs = timeoutMs;
    this.#now = now;
  }

  /** False when the first loss is to be the last. */
  get isOn(): boolean {
    return this.#timeoutMs > 0;
  }

  /** How long a lost source may look for what has become of it. */
  get timeoutMs(): number {
    return this.#timeoutMs;
  }

  /** Until the clock runs out; null when it does not run, because nothing has broken yet. */
  get remainingMs(): number | null {
    return this.#until === null ? null : Math.max(0, this.#until - this.#now());
  }

  /** A session broke. Returns the pause before the next one. */
  broke(moved: boolean): number {
    if (moved || this.#until === null) {
      this.#until = this.#now() + this.#timeoutMs;
      this.#failures = 0;
    }
    this.#failures += 1;
    return fullJitterMs(BACK_OFF, this.#failures);
  }

  /** "until 2026-01-02 03:04:05 UTC": both sides' logs can be compared. */
  untilText(): string {
    const at = new Date(Date.now() + (this.remainingMs ?? 0)).toISOString();
    return `until ${at.slice(0, 10)} ${at.slice(11, 19)} UTC`;
  }

  givenUp(last: PvferryError): PvferryError {
    const waited = durationText(this.#timeoutMs);
    return new PvferryError({
      code: 20,
      message: `${last.message} Nothing could be copied within ${waited} of the first loss (--reconnect-timeout).`,
      next: "Check the network between the two sides, then run the same command again on both.",
      cause: last,
    });
  }
}

/** Whether a session has got anything across: what the target acknowledged, or has written. */
export function hasMoved(counters: Pick<Counters, "bytesDone" | "entriesDone"> | null): boolean {
  return counters !== null && counters.bytesDone + counters.entriesDone > 0;
}
