/** What the target settles with its source before the first byte: that the volume is usable still, large enough, and
 * whether what it holds is compared. */

import type { Comparison } from "../native/types.ts";
import type { ControlChannel } from "./control-channel.ts";
import { asIfCleared, preflightMessage, receivePreflight } from "./preflight.ts";
import type { SessionContext, TargetRun } from "./run-options.ts";
import { refusalBeforeCopy } from "./space.ts";
import { checkTargetVolume } from "./volume-checks.ts";

/** What an unfinished copy leaves in the volume: by it a second try recognises what the first one left. */
export function transferRecord(run: TargetRun): string {
  return `${run.tls.transfer}/${run.volumeName}`;
}

export async function agreeWithSource(
  context: SessionContext,
  run: TargetRun,
  channel: ControlChannel,
): Promise<Comparison | null> {
  const { volume, existing } = run;
  const found = checkTargetVolume(context.parts.addon, volume, existing, transferRecord(run));
  const facts = asIfCleared(found, existing);
  await channel.send(preflightMessage(facts, null));
  const source = await receivePreflight(channel, context.signal);
  const refusal = refusalBeforeCopy(source.facts, source.totals, facts);
  if (refusal !== null) throw refusal;
  return found.firstNames.length === 0 ? null : BY_SIZE_AND_TIME;
}

const BY_SIZE_AND_TIME: Comparison = { digests: false, racyFrom: null, unsafeFrom: null };
