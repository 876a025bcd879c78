/**
 * The number by which a target tells the newer of two sources. It is the time of the process's first hello, in
 * milliseconds, plus one for each further session of that process.
 *
 * The clock is read once: a step of it during a run changes nothing, and a source that was cut off and comes back
 * cannot take the place of one that was started after it. A random id could not be ordered, and a counter would have to
 * be kept somewhere that outlives a kill. As each session takes longer than a millisecond, a later process has the
 * higher number, unless its clock is behind the earlier one's by more than the time between them. It is then refused
 * until the target has noticed that the earlier one is dead, and only till then: what is compared is the session that
 * runs, never one that is over.
 */
export class Epochs {
  readonly #clock: () => number;
  #last: number | null = null;

  constructor(clock: () => number = Date.now) {
    this.#clock = clock;
  }

  /** For one session; greater than any before it. */
  next(): number {
    this.#last = this.#last === null ? Math.max(0, this.#clock()) : this.#last + 1;
    return this.#last;
  }
}
