/** What the target settles with its source before the first byte: that the volume is usable still, and large enough. */

import { LIMITS } from "../config/limits.ts";
import { stoppable } from "../native/stoppable.ts";
import type { ControlChannel } from "./control-channel.ts";
import { tooLate } from "./late.ts";
import { asIfCleared, preflightMessage, receivePreflight } from "./preflight.ts";
import type { SessionContext, TargetRun } from "./run-options.ts";
import { refusalBeforeCopy } from "./space.ts";
import { checkTargetVolume } from "./volume-checks.ts";
import { waitFor } from "./waiting.ts";

/** While keep-alives go on: a million leftovers take a minute. */
export async function clearLeftovers(
  context: SessionContext,
  run: TargetRun,
  channel: ControlChannel,
): Promise<void> {
  const { addon } = context.parts;
  const signal = AbortSignal.any([context.signal, channel.over]);
  const clearing = stoppable(addon, signal, (stop) =>
    addon.clearLeftovers(run.volume, transferRecord(run), run.discardJournal, stop),
  );
  await waitFor(clearing, {
    deadlineMs: LIMITS.readyTimeoutMs,
    signal,
    tooLate: () => tooLate(channel, "end of clearing the volume", LIMITS.readyTimeoutMs),
  });
}

/** What an unfinished copy leaves in the volume: by it a second try recognises what the first one left. */
export function transferRecord(run: TargetRun): string {
  return `${run.tls.transfer}/${run.volumeName}`;
}

export async function agreeWithSource(
  context: SessionContext,
  run: TargetRun,
  channel: ControlChannel,
): Promise<void> {
  const facts = asIfCleared(checkTargetVolume(context.parts.addon, run, transferRecord(run)));
  await channel.send(preflightMessage(facts, null));
  const source = await receivePreflight(channel, context.signal);
  const refusal = refusalBeforeCopy(source.facts, source.totals, facts);
  if (refusal !== null) throw refusal;
}
