/**
 * Items of both sides. This side's own go to the watcher at once and, the first of them, to the peer in batches; the
 * peer's first ones come the same way. So both sides' receipts list the same.
 */

import { LIMITS } from "../config/limits.ts";
import type { BothSides } from "../core/receipt.ts";
import type { Role } from "../core/transfer-id.ts";
import type { Item } from "../native/types.ts";
import type { OutgoingMessage } from "../wire/control-messages.ts";
import { ITEM_TEXT_MOST } from "../wire/session-result.ts";
import type { Observe } from "./run-options.ts";

const WHAT_MOST = 1_024;
const DETAIL_MOST = 4_096;

export class ItemLedger {
  readonly #self: Role;
  readonly #observe: Observe;
  readonly #kept: BothSides<Item[]> = { source: [], target: [] };
  readonly #bytes = { source: 0, target: 0 };
  #sent = 0;

  constructor(self: Role, observe: Observe) {
    this.#self = self;
    this.#observe = observe;
  }

  get kept(): BothSides<readonly Item[]> {
    return this.#kept;
  }

  /** Items of this side, as the core reports them. */
  addOwn(items: readonly Item[]): void {
    for (const item of items) {
      this.#observe({ type: "item", item });
      if (isListable(item)) this.#list(shortened(item));
    }
  }

  /** Items that the peer sent. False when there are more than a receipt holds, or they are not the peer's own. */
  addPeers(side: Role, items: readonly Item[]): boolean {
    for (const item of items) {
      if (item.side !== side || !this.#list(item)) return false;
      this.#observe({ type: "item", item });
    }
    return true;
  }

  /** Messages for what the peer was not yet told. Called now and then, and once more before the end. */
  *unsent(): Generator<OutgoingMessage, void, undefined> {
    const own = this.#kept[this.#self];
    while (this.#sent < own.length) {
      const batch = takeBatch(own, this.#sent);
      this.#sent += batch.length;
      yield { type: "items", items: batch };
    }
  }

  /** False when the list is full; once it is, it stays so, since the first items are what is kept. */
  #list(item: Item): boolean {
    const list = this.#kept[item.side];
    if (list.length >= LIMITS.receiptItems) return false;
    if (this.#bytes[item.side] > LIMITS.receiptItemBytes) return false;
    this.#bytes[item.side] += textLength(item);
    list.push(item);
    return true;
  }
}

/** At least one item, at most so many, and together well below a frame's size. */
function takeBatch(items: readonly Item[], from: number): Item[] {
  const batch: Item[] = [];
  let bytes = 0;
  for (const item of items.slice(from, from + LIMITS.itemsPerMessage)) {
    bytes += textLength(item);
    if (batch.length > 0 && bytes > LIMITS.itemsMessageBytes) break;
    batch.push(item);
  }
  return batch;
}

function textLength(item: Item): number {
  return JSON.stringify(item).length;
}

/** A path longer than this is counted and streamed, but not listed. */
function isListable(item: Item): boolean {
  return (item.path ?? item.pathBytes ?? "").length <= ITEM_TEXT_MOST;
}

function shortened(item: Item): Item {
  return {
    ...item,
    what: item.what.slice(0, WHAT_MOST),
    detail: item.detail.slice(0, DETAIL_MOST),
  };
}
