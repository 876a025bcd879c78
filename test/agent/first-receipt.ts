/** How two agents end a first pass whose data was all there before. */
import { expect } from "vitest";

import { receiptOf, type Receipt } from "./receipt.ts";
import type { Agent } from "./run-pvferry.ts";

/** Both ended well, with the same receipt: that of the first pass of its transfer, which nobody has heard of before. */
export async function firstReceipt(source: Agent, target: Agent): Promise<Receipt> {
  const [ours, theirs] = await Promise.all([source.ended, target.ended]);
  expect(ours.code, ours.stderr).toBe(0);
  expect(theirs.code, theirs.stderr).toBe(0);
  const receipt = receiptOf(ours);
  expect(receiptOf(theirs)).toEqual(receipt);
  expect(receipt).toMatchObject({ movedBytes: 0, matchedBytes: 0, deleted: 0 });
  expect(receipt).toMatchObject({ pass: { number: 1 }, previous: null });
  return receipt;
}
