/** Items of both sides, as the native session reports them: all go to the watcher, the first ones into the receipt. */

import { LIMITS } from "../config/limits.ts";
import type { BothSides } from "../core/receipt.ts";
import type { Item } from "../native/types.ts";
import { compareItems } from "./item-order.ts";
import type { Observe } from "./run-options.ts";

export class ItemLedger {
  readonly #observe: Observe;
  readonly #first: BothSides<FirstItems> = { source: new FirstItems(), target: new FirstItems() };

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

/**
 * The first items of one side in the order of item-order.ts, as many as a receipt may hold, whatever order they come
 * in. Holds at most twice as many.
 */
class FirstItems {
  #kept: Item[] = [];
  #bytes = 0;
  /** The first of those that found no room. */
  #bar: Item | null = null;

  add(item: Item): void {
    if (this.#bar !== null && compareItems(item, this.#bar) >= 0) return;
    this.#kept.push(item);
    this.#bytes += sizeOf(item);
    const { receiptItems, receiptItemBytes } = LIMITS;
    if (this.#kept.length >= 2 * receiptItems || this.#bytes >= 2 * receiptItemBytes) this.#cut();
  }

  inOrder(): readonly Item[] {
    this.#cut();
    return this.#kept;
  }

  #cut(): void {
    this.#kept.sort(compareItems);
    let bytes = 0;
    const end = this.#kept.findIndex((item, at) => {
      if (at >= LIMITS.receiptItems || bytes + sizeOf(item) > LIMITS.receiptItemBytes) return true;
      bytes += sizeOf(item);
      return false;
    });
    this.#bytes = bytes;
    if (end < 0) return;
    this.#bar = this.#kept[end] ?? null;
    this.#kept.length = end;
  }
}

function sizeOf(item: Item): number {
  return JSON.stringify(item).length;
}
