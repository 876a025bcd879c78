/** Items of both sides, as the native session reports them: all go to the watcher, the first ones into the receipt. */

import { LIMITS } from "../config/limits.ts";
import type { BothSides } from "../core/receipt.ts";
import type { Item } from "../native/types.ts";
import type { Observe } from "./run-options.ts";

export class ItemLedger {
  readonly #observe: Observe;
  readonly #kept: BothSides<Item[]> = { source: [], target: [] };
  readonly #bytes = { source: 0, target: 0 };

  constructor(observe: Observe) {
    this.#observe = observe;
  }

  get kept(): BothSides<readonly Item[]> {
    return this.#kept;
  }

  add(items: readonly Item[]): void {
    for (const item of items) {
      this.#observe({ type: "item", item });
      this.#keep(item);
    }
  }

  /** Once a side's list is full it stays so: the first items are what a receipt shows. */
  #keep(item: Item): void {
    const list = this.#kept[item.side];
    const full = this.#bytes[item.side] > LIMITS.receiptItemBytes;
    if (full || list.length >= LIMITS.receiptItems) return;
    this.#bytes[item.side] += JSON.stringify(item).length;
    list.push(item);
  }
}
