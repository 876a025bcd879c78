/** How far a copy is, by what has crossed the wire: a machine's load does not change where that is. */
import { setTimeout as sleep } from "node:timers/promises";

import type { Agent } from "../agent/run-pvferry.ts";
import type { Relay } from "../bed/breaking-relay.ts";

/** Resolves when so many bytes have crossed, or when the source has ended before. */
export async function crossed(relay: Relay, source: Agent, bytes: number): Promise<void> {
  while (relay.bytes() < bytes && source.isRunning()) await sleep(5);
}
