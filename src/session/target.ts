/** The target's sessions, from the open door to the receipt: one, unless a connection is lost for good. */

import { toPvferryError } from "../core/errors.ts";
import type { FinishedEnd } from "../core/finished-end.ts";
import type { Receipt } from "../core/receipt.ts";
import { loadAddon, packageVersion } from "../native/addon.ts";
import type { Observe, SessionParts, TargetRun } from "./run-options.ts";
import { stayAlive } from "./stay-alive.ts";
import { TargetSteps } from "./target-steps.ts";

export type TargetEnd = Receipt | FinishedEnd;

/**
 * Resolves with the receipt, whatever its verdict, or with the outcome of a copy that was finished before; rejects with
 * a PvferryError when there is neither.
 */
export async function runTarget(
  run: TargetRun & { readonly finishedWaitMs: null },
  observe: Observe,
  signal: AbortSignal,
): Promise<Receipt>;
export async function runTarget(
  run: TargetRun,
  observe: Observe,
  signal: AbortSignal,
): Promise<TargetEnd>;
export async function runTarget(
  run: TargetRun,
  observe: Observe,
  signal: AbortSignal,
): Promise<TargetEnd> {
  const parts = { addon: loadAddon(), agent: packageVersion() };
  return targetSession(run, parts, observe, signal);
}

/** The same with parts of the caller's choice. */
export async function targetSession(
  run: TargetRun,
  parts: SessionParts,
  observe: Observe,
  signal: AbortSignal,
): Promise<TargetEnd> {
  const letGo = stayAlive();
  const steps = new TargetSteps(run, { parts, observe, signal });
  try {
    steps.checkVolume();
    steps.listen();
    await steps.findFinished();
    for (;;) {
      const end = await oneSession(steps);
      if (end !== null) return end;
    }
  } catch (error) {
    throw await steps.fail(toPvferryError(error));
  } finally {
    steps.close();
    letGo();
  }
}

/** null when it was lost, or a newer one has come, and is to be served next. */
async function oneSession(steps: TargetSteps): Promise<TargetEnd | null> {
  const source = await steps.admit();
  if (source === null) return steps.leaveFinished();
  try {
    steps.beginCopy(source);
    const written = await steps.settle();
    const settled = await steps.hearSource();
    const end = await steps.makeDurable(source, settled, written);
    await steps.keepVerdict(source, end.durable);
    await steps.conclude(end);
    return end.receipt;
  } catch (error) {
    await steps.recover(toPvferryError(error), source);
    return null;
  }
}
