/** How long, and how often, a source goes back for its verdict. */

import { CONNECT_BACK_OFF, LIMITS } from "../config/limits.ts";
import { backOffMs } from "../core/back-off.ts";

export interface ReturnAttempt {
  readonly pauseMs: number;
  /** What is left of the time that a source goes on looking for its verdict. */
  readonly timeoutMs: number;
}

/**
 * A connection that breaks again at once does not start the clock anew: a path that lets nothing through must end. One
 * that lasted does, since the flush of a large volume may outlive several connections.
 */
export class Returns {
  readonly #windowMs: number;
  readonly #now: () => number;
  #failures = 0;
  #until = 0;
  #begunAt = Number.NEGATIVE_INFINITY;

  /** As long as a lost session may be replaced, but not less than a verdict is kept. */
  constructor(reconnectTimeoutMs: number, now: () => number = () => performance.now()) {
    this.#windowMs = Math.max(LIMITS.verdictKeptMs, reconnectTimeoutMs);
    this.#now = now;
  }

  get windowMs(): number {
    return this.#windowMs;
  }

  /** Called when a connection is lost. */
  begin(): ReturnAttempt {
    const now = this.#now();
    if (now - this.#begunAt > LIMITS.idleTimeoutMs) {
      this.#failures = 0;
      this.#until = now + this.#windowMs;
    }
    this.#begunAt = now;
    this.#failures += 1;
    const pauseMs = backOffMs(CONNECT_BACK_OFF, this.#failures);
    return { pauseMs, timeoutMs: Math.max(0, this.#until - now - pauseMs) };
  }
}
