/** Differences as the native session tells them: all go to the watcher, the first ones into the receipt. */

import { Buffer } from "node:buffer";

import { bytesOfName } from "../core/names.ts";
import type { Difference } from "../native/types.ts";
import { FirstRecords } from "./first-records.ts";
import type { Observe } from "./run-options.ts";

export class DifferenceLedger {
  readonly #observe: Observe;
  readonly #first = new FirstRecords(byPath);

  constructor(observe: Observe) {
    this.#observe = observe;
  }

  /** Both sides of a session keep the same ones, since both have heard of all. */
  get kept(): readonly Difference[] {
    return this.#first.inOrder();
  }

  add(differences: readonly Difference[]): void {
    this.#observe({ type: "differences", differences });
    for (const difference of differences) this.#first.add(difference);
  }
}

/** In byte order. What is missing and what was in its place may share a path. */
function byPath(a: Difference, b: Difference): number {
  return (
    Buffer.compare(bytesOfName(a), bytesOfName(b)) ||
    CHANGES.indexOf(a.change) - CHANGES.indexOf(b.change)
  );
}

const CHANGES: readonly Difference["change"][] = ["extra", "missing", "replaced", "attributes"];
