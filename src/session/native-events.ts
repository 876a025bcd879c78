/** What the native session reports, sorted: items, lost lanes, and one end. */

import type { PvferryError } from "../core/errors.ts";
import { fromNativeError } from "../native/errors.ts";
import type { Difference, Item, SessionEvent, SessionResult } from "../native/types.ts";

export interface NativeEventCalls {
  readonly onItems: (items: readonly Item[]) => void;
  readonly onDifferences: (differences: readonly Difference[]) => void;
  readonly onClosing: () => void;
  readonly onLaneLost: (loss: LaneLoss) => void;
  readonly onIndexLost: (error: PvferryError) => void;
}

export type LaneLoss = Extract<SessionEvent, { type: "lane-lost" }>;

/** The promise of a native session's end, and the function that takes its events. */
export class NativeEvents {
  readonly #calls: NativeEventCalls;
  readonly #settled = Promise.withResolvers<SessionResult>();

  constructor(calls: NativeEventCalls) {
    this.#calls = calls;
    // Whoever waits hears of it; a session that ends for another reason first has nobody waiting.
    this.#settled.promise.catch(() => undefined);
  }

  /** Rejects with the core's error. */
  get settled(): Promise<SessionResult> {
    return this.#settled.promise;
  }

  readonly take = (events: readonly SessionEvent[]): void => {
    for (const event of events) this.#takeOne(event);
  };

  /** For failures that this side finds itself. */
  fail(error: PvferryError): void {
    this.#settled.reject(error);
  }

  #takeOne(event: SessionEvent): void {
    switch (event.type) {
      case "items":
        return this.#calls.onItems(event.items);
      case "differences":
        return this.#calls.onDifferences(event.differences);
      case "lane-lost":
        return this.#calls.onLaneLost(event);
      case "index-lost":
        return this.#calls.onIndexLost(fromNativeError(event.error));
      case "closing":
        return this.#calls.onClosing();
      case "settled":
        return this.#settled.resolve(event.result);
      case "failed":
        return this.#settled.reject(fromNativeError(event.error));
    }
  }
}
