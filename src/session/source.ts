/** The source's sessions, from the first dial to the receipt: one, unless a connection is lost for good. */

import { toPvferryError } from "../core/errors.ts";
import type { Receipt } from "../core/receipt.ts";
import { loadAddon, packageVersion } from "../native/addon.ts";
import type { VolumeFacts } from "../native/types.ts";
import type { Observe, SessionParts, SourceRun } from "./run-options.ts";
import { SourceSteps } from "./source-steps.ts";
import { stayAlive } from "./stay-alive.ts";
import { checkSourceVolume } from "./volume-checks.ts";
import type { WayIn } from "./way-in.ts";

/** `begun` is its first way in, if there is one already. Resolves with the receipt, whatever its verdict; rejects with a PvferryError when there is none. */
export async function runSource(
  run: SourceRun,
  observe: Observe,
  signal: AbortSignal,
  begun: WayIn | null = null,
): Promise<Receipt> {
  const parts = { addon: loadAddon(), agent: packageVersion() };
  return sourceSession(run, parts, observe, signal, begun);
}

/** The same with parts of the caller's choice, such as another addon. */
export async function sourceSession(
  run: SourceRun,
  parts: SessionParts,
  observe: Observe,
  signal: AbortSignal,
  begun: WayIn | null = null,
): Promise<Receipt> {
  const letGo = stayAlive();
  const steps = new SourceSteps(run, { parts, observe, signal }, begun);
  try {
    const facts = checkSourceVolume(parts.addon, run.volume);
    for (;;) {
      const receipt = await oneSession(steps, facts);
      if (receipt !== null) return receipt;
    }
  } catch (error) {
    throw await steps.fail(toPvferryError(error));
  } finally {
    steps.close();
    letGo();
  }
}

/** null when it was lost, and another one may follow. */
async function oneSession(steps: SourceSteps, facts: VolumeFacts): Promise<Receipt | null> {
  try {
    const target = await steps.connect(facts);
    const agreement = await steps.agree(facts);
    steps.beginCopy(agreement);
    const settled = await steps.settle();
    const durable = await steps.hearOutcome(settled);
    return await steps.conclude(target, settled, durable);
  } catch (error) {
    await steps.recover(toPvferryError(error));
    return null;
  }
}
