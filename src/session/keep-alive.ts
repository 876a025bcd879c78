/** Says that this side lives, and notices when the other does not. */

import { LIMITS } from "../config/limits.ts";

const TICK_MS = 1_000;

export interface KeepAliveCalls {
  readonly ping: () => void;
  /** Called once, after `idleTimeoutMs` without a byte. */
  readonly dead: () => void;
}

export class KeepAlive {
  readonly #calls: KeepAliveCalls;
  #timer: NodeJS.Timeout | null = null;
  #heardAt = 0;
  #pingedAt = 0;
  #tickedAt = 0;

  constructor(calls: KeepAliveCalls) {
    this.#calls = calls;
  }

  start(): void {
    if (this.#timer !== null) return;
    this.#heardAt = this.#pingedAt = this.#tickedAt = performance.now();
    this.#timer = setInterval(() => this.#tick(performance.now()), TICK_MS);
  }

  heard(): void {
    this.#heardAt = performance.now();
  }

  stop(): void {
    if (this.#timer !== null) clearInterval(this.#timer);
    this.#timer = null;
  }

  #tick(now: number): void {
    // A process that was stopped, or a machine that slept, has not listened: its peer's silence means nothing yet.
    if (now - this.#tickedAt > LIMITS.keepAliveMs) this.#heardAt = now;
    this.#tickedAt = now;
    if (now - this.#heardAt >= LIMITS.idleTimeoutMs) {
      this.stop();
      this.#calls.dead();
    } else if (now - this.#pingedAt >= LIMITS.keepAliveMs) {
      this.#pingedAt = now;
      this.#calls.ping();
    }
  }
}
