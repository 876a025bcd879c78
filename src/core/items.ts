/** What could not be read, written or kept: one entry, one reason. The same shape as native/types.ts gives. */

export const ITEM_CLASSES = ["unreadable", "not-written", "not-kept", "changed", "skipped"] as const;
export type ItemClass = (typeof ITEM_CLASSES)[number];

export interface TransferItem {
  readonly side: "source" | "target";
  readonly class: ItemClass;
  /** Exactly one of the two is non-null; see names.ts. */
  readonly path: string | null;
  readonly pathBytes: string | null;
  readonly what: string;
  readonly errno: string | null;
  readonly detail: string;
}
