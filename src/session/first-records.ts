/** The records that a receipt lists: the first ones in an order of their own, whatever order they come in. */

import { LIMITS } from "../config/limits.ts";

/** As many as a receipt may hold; never more than twice as many are held. */
export class FirstRecords<T> {
  readonly #compare: (a: T, b: T) => number;
  #kept: T[] = [];
  #bytes = 0;
  /** The first of those that found no room. */
  #bar: T | null = null;

  constructor(compare: (a: T, b: T) => number) {
    this.#compare = compare;
  }

  add(record: T): void {
    if (this.#bar !== null && this.#compare(record, this.#bar) >= 0) return;
    this.#kept.push(record);
    this.#bytes += sizeOf(record);
    const full = this.#kept.length >= 2 * LIMITS.receiptItems;
    if (full || this.#bytes >= 2 * LIMITS.receiptItemBytes) this.#cut();
  }

  inOrder(): readonly T[] {
    this.#cut();
    return this.#kept;
  }

  #cut(): void {
    this.#kept.sort(this.#compare);
    let bytes = 0;
    const end = this.#kept.findIndex((record, at) => {
      const size = sizeOf(record);
      const { receiptItems, receiptItemBytes } = LIMITS;
      if (at >= receiptItems || bytes + size > receiptItemBytes) return true;
      bytes += size;
      return false;
    });
    this.#bytes = bytes;
    if (end < 0) return;
    this.#bar = this.#kept[end] ?? null;
    this.#kept.length = end;
  }
}

function sizeOf(record: unknown): number {
  return JSON.stringify(record).length;
}
