/** Items of both sides, as the native session reports them: all go to the watcher, the first ones into the receipt. */

import type { BothSides } from "../core/receipt.ts";
import type { Item } from "../native/types.ts";
import { FirstRecords } from "./first-records.ts";
import { compareItems } from "./item-order.ts";
import type { Observe } from "./run-options.ts";

export class ItemLedger {
  readonly #observe: Observe;
  readonly #first: BothSides<FirstRecords<Item>> = {
    source: new FirstRecords(compareItems),
    target: new FirstRecords(compareItems),
  };

  constructor(observe: Observe) {
    this.#observe = observe;
  }

  /** Both sides of a session keep the same ones, since both have heard of all. */
  get kept(): BothSides<readonly Item[]> {
    const { source, target } = this.#first;
    return { source: source.inOrder(), target: target.inOrder() };
  }

  add(items: readonly Item[]): void {
    for (const item of items) {
      this.#observe({ type: "item", item });
      this.#first[item.side].add(item);
    }
  }
}
