/**
 * How many lanes a path is worth. Pure: it is told how much was acknowledged, several times in a second. A short path
 * keeps the number that the processors are good for. A long one begins with more, because each connection begins slowly
 * there, and gets twice as many for as long as that makes the whole faster and the path is not seen to be full.
 */

import { LIMITS } from "../config/limits.ts";

export interface LaneRange {
  /** To begin with: on a short path, and on a long one. */
  readonly first: number;
  readonly long: number;
  readonly most: number;
}

export interface PathProgress {
  readonly atMs: number;
  /** null when nobody knows. */
  readonly roundTripMs: number | null;
  /** Round trips are longer than they could be: something waits before the bottleneck, which is busy then. */
  readonly hasQueue: boolean;
  readonly acknowledgedBytes: number;
  /** Packets are lost, whatever is sent, and nothing but the number of lanes makes up for it. */
  readonly needsAll: boolean;
}

/** With how many lanes a path of which no more is known begins. */
export function lanesAtFirst({ first, long, most }: LaneRange, roundTripMs: number | null): number {
  const isLong = roundTripMs !== null && roundTripMs >= LIMITS.longPathMs;
  return Math.min(most, isLong ? Math.max(first, long) : first);
}

/** Less than this more is chance. */
const GAIN = 1.15;

/** A rate is taken over this many round trips, and over this long at least: a new lane takes as long to come to speed. */
const ROUND_TRIPS = 10;
const LEAST_MS = 500;

export class LanePlan {
  readonly #range: LaneRange;
  #lanes: number;
  #since: PathProgress | null = null;
  /** Of the last span, bytes a millisecond. */
  #rate = 0;
  /** The rate before the lanes were doubled; null when they were not. */
  #rateBefore: number | null = null;
  /** New lanes come to speed. */
  #settling = false;
  /** In this span. */
  #queued = false;
  #enough = false;

  constructor(range: LaneRange, roundTripMs: number | null) {
    this.#range = range;
    this.#lanes = lanesAtFirst(range, roundTripMs);
  }

  get lanes(): number {
    return this.#lanes;
  }

  add(progress: PathProgress): void {
    if (progress.needsAll) this.#lanes = this.#range.most;
    const { roundTripMs, acknowledgedBytes, hasQueue } = progress;
    const short = roundTripMs === null || roundTripMs < LIMITS.shortPathMs;
    const over = this.#enough || this.#lanes === this.#range.most;
    if (over || short || acknowledgedBytes === 0) return;
    this.#since ??= progress;
    this.#queued ||= hasQueue;
    const spanMs = progress.atMs - this.#since.atMs;
    if (spanMs < Math.max(LEAST_MS, ROUND_TRIPS * roundTripMs)) return;
    const rate = (acknowledgedBytes - this.#since.acknowledgedBytes) / spanMs;
    this.#since = progress;
    // Of a source that reads nothing, and a target that writes nothing, no path can be told.
    if (rate > 0) this.#judge(rate);
    this.#queued = false;
  }

  /** What was measured so far says nothing of what is to come. */
  restart(): void {
    this.#since = null;
    this.#rate = 0;
    this.#rateBefore = null;
    this.#settling = false;
    this.#queued = false;
  }

  #judge(rate: number): void {
    const before = this.#rate;
    this.#rate = rate;
    if (this.#settling) {
      this.#settling = false;
    } else if (this.#rateBefore !== null && rate < this.#rateBefore * GAIN) {
      this.#enough = true;
    } else if (this.#queued) {
      // More lanes would only share what there is.
      this.#rateBefore = null;
    } else if (this.#rateBefore !== null || rate < before * GAIN) {
      this.#rateBefore = rate;
      this.#lanes = Math.min(this.#range.most, 2 * this.#lanes);
      this.#settling = true;
    }
    // Otherwise it becomes faster by itself: what more lanes would do could not be told from that.
  }
}
