/**
 * A target that dials: it keeps some connections to its source open and idle, over which the source then speaks first, as if
 * it had dialled them itself. Of the session, TLS included, nothing else changes. Used up spares are replaced.
 */

import { CONNECT_BACK_OFF, LIMITS } from "../config/limits.ts";
import { backOffMs } from "../core/back-off.ts";
import { toPvferryError, type PvferryError } from "../core/errors.ts";
import { clause } from "../core/sentences.ts";
import { sleep } from "../core/waiting.ts";
import type { Listener } from "../native/types.ts";
import type { Path } from "../net/path.ts";

export interface SpareCalls {
  /** What is waited for, and why. */
  readonly waiting: (what: string) => void;
  /** No other attempt will end better; they go on all the same. */
  readonly fail: (error: PvferryError) => void;
}

export class SpareConnections {
  readonly #listener: Listener;
  readonly #path: Path;
  readonly #calls: SpareCalls;
  readonly #closed = new AbortController();
  #turn = 0;

  /** Begins to dial. `listener` takes the connections as if it had accepted them. */
  constructor(listener: Listener, path: Path, calls: SpareCalls) {
    this.#listener = listener;
    this.#path = path;
    this.#calls = calls;
    for (let spare = 0; spare < LIMITS.spareConnections; spare += 1) {
      void this.#keepOne(spare === 0);
    }
  }

  /** May be called twice. */
  close(): void {
    this.#closed.abort(new Error("the spare connections are closed"));
  }

  /** One of them speaks for all: they fail for the same reason. */
  async #keepOne(tells: boolean): Promise<void> {
    const { signal } = this.#closed;
    for (let failures = 0; !signal.aborted;) {
      try {
        const spoken = await this.#dialOne(signal);
        failures = spoken ? 0 : failures + 1;
      } catch (thrown) {
        failures += 1;
        if (tells && !signal.aborted) this.#tell(toPvferryError(thrown));
      }
      if (failures === 0) continue;
      await sleep(backOffMs(CONNECT_BACK_OFF, failures), signal).catch(() => undefined);
    }
  }

  /** False when it ended unused. */
  async #dialOne(signal: AbortSignal): Promise<boolean> {
    this.#turn += 1;
    const timeoutMs = LIMITS.connectAttemptMs;
    const stream = await this.#path.dial(this.#turn, { timeoutMs, signal });
    try {
      return await this.#listener.admit(stream.fd, stream.peerName);
    } finally {
      stream.release();
    }
  }

  #tell(error: PvferryError): void {
    if (!error.temporary) return this.#calls.fail(error);
    this.#calls.waiting(`the source at ${this.#path.text}: ${clause(error.message)}`);
  }
}
