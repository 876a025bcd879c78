/** Messages that arrived and were not yet asked for: bounded, so that a flood costs its sender the session. */

import { LIMITS } from "../config/limits.ts";
import { PvferryError } from "../core/errors.ts";
import type { ControlMessage } from "../wire/control-messages.ts";

export class Inbox {
  readonly #waiting: ControlMessage[] = [];
  #reader: PromiseWithResolvers<ControlMessage> | null = null;
  #end: PvferryError | null = null;

  /** Throws (23) when nobody takes the messages as fast as they come. */
  put(message: ControlMessage): void {
    if (this.#reader !== null) {
      this.#reader.resolve(message);
      this.#reader = null;
      return;
    }
    if (this.#waiting.length >= LIMITS.controlInboxMessages) throw flooded();
    this.#waiting.push(message);
  }

  /** What was put before is still handed out; then every take rejects with `error`. Only the first end counts. */
  end(error: PvferryError): void {
    this.#end ??= error;
    this.#reader?.reject(this.#end);
    this.#reader = null;
  }

  /** One reader at a time; a second call takes the place of the first. */
  async take(): Promise<ControlMessage> {
    const message = this.#waiting.shift();
    if (message !== undefined) return message;
    if (this.#end !== null) throw this.#end;
    this.#reader = Promise.withResolvers();
    return this.#reader.promise;
  }
}

/** So many messages at once, so many per second after that. */
export class FloodGate {
  #tokens: number = LIMITS.controlMessagesBurst;
  #refilledAt: number;
  readonly #now: () => number;

  constructor(now: () => number) {
    this.#now = now;
    this.#refilledAt = now();
  }

  /** Throws (23) when the peer sends faster than it may. */
  pass(): void {
    const now = this.#now();
    const earned = ((now - this.#refilledAt) / 1_000) * LIMITS.controlMessagesPerSecond;
    this.#tokens = Math.min(LIMITS.controlMessagesBurst, this.#tokens + earned);
    this.#refilledAt = now;
    if (this.#tokens < 1) throw flooded();
    this.#tokens -= 1;
  }
}

function flooded(): PvferryError {
  return new PvferryError({
    code: 23,
    message: "The peer floods the control channel with messages.",
    next: "Check that both sides are pvferry agents of the same release.",
  });
}
