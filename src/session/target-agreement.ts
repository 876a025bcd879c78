/** What the target settles with its source before the first byte: that the volume is usable still, large enough, and
 * whether what it holds is compared. */

import type { Comparison, Existing } from "../native/types.ts";
import type { ControlChannel } from "./control-channel.ts";
import { asIfCleared, preflightMessage, receivePreflight } from "./preflight.ts";
import type { SessionContext, TargetRun } from "./run-options.ts";
import { refusalBeforeCopy } from "./space.ts";
import { checkTargetVolume, hasJournal } from "./volume-checks.ts";

/** What an unfinished copy leaves in the volume: by it a second try recognises what the first one left. */
export function transferRecord(run: TargetRun): string {
  return `${run.tls.transfer}/${run.volumeName}`;
}

/** What the copy goes onto. */
export interface Onto {
  /** null for a volume that is empty. */
  readonly compare: Comparison | null;
  readonly existing: Existing;
}

export async function agreeWithSource(
  context: SessionContext,
  run: TargetRun,
  channel: ControlChannel,
): Promise<Onto> {
  const { existing } = run;
  const found = checkTargetVolume(context.parts.addon, run, transferRecord(run));
  const facts = asIfCleared(found, existing);
  await channel.send(preflightMessage(facts, null));
  const source = await receivePreflight(channel, context.signal);
  const refusal = refusalBeforeCopy(source.facts, source.totals, facts);
  if (refusal !== null) throw refusal;
  if (found.firstNames.length === 0) return { compare: null, existing };
  // Passes of one transfer make the target what the source is, unless told otherwise. So does the one for which a journal
  // is discarded; what is compared by content then, the new journal says.
  const own = hasJournal(found) && existing === "refuse";
  return { compare: BY_SIZE_AND_TIME, existing: own ? "mirror" : existing };
}

const BY_SIZE_AND_TIME: Comparison = { digests: false, racyFrom: null };
