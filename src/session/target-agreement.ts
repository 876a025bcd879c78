/** What the target settles with its source before the first byte: that the volume is usable still, and large enough. */

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
): Promise<void> {
  const facts = asIfCleared(
    checkTargetVolume(context.parts.addon, run.volume, transferRecord(run)),
  );
  await channel.send(preflightMessage(facts, null));
  const source = await receivePreflight(channel, context.signal);
  const refusal = refusalBeforeCopy(source.facts, source.totals, facts);
  if (refusal !== null) throw refusal;
}
