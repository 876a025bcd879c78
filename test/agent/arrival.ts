/** How a transfer between two agents has to end, however it went. */
import { expect } from "vitest";

import { expectFaithful } from "../judge/expect-faithful.ts";
import { receiptOf } from "./receipt.ts";
import type { Agent, Ended } from "./run-pvferry.ts";

export interface Transfer {
  readonly volume: string;
  readonly copy: string;
  readonly source: Agent;
  readonly target: Agent;
}

/** Both ended well, both hold the same, and the judge finds no difference. The source's end is looked at first. */
export async function expectArrival(transfer: Transfer): Promise<readonly [Ended, Ended]> {
  const sent = await transfer.source.ended;
  expect(sent.code, sent.stderr).toBe(0);
  const received = await transfer.target.ended;
  expect(received.code, received.stderr).toBe(0);
  expect(receiptOf(received).roots.source).toEqual(receiptOf(sent).roots.target);
  await expectFaithful(transfer.volume, transfer.copy);
  return [sent, received];
}
