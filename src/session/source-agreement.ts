/** What the source settles with its target before the first byte: that it fits, and that it may begin. */

import { LIMITS } from "../config/limits.ts";
import { waitFor } from "../core/waiting.ts";
import { stoppable } from "../native/stoppable.ts";
import type { VolumeFacts, VolumeTotals } from "../native/types.ts";
import type { MessageOf, OutgoingMessage } from "../wire/control-messages.ts";
import type { ControlChannel } from "./control-channel.ts";
import { tooLate } from "./late.ts";
import { preflightMessage, receivePreflight } from "./preflight.ts";
import type { SessionContext, SourceRun } from "./run-options.ts";
import { refusalBeforeCopy, type SpaceFacts } from "./space.ts";

export interface Volumes {
  readonly facts: VolumeFacts;
  /** null unless the source was counted first. */
  readonly totals: VolumeTotals | null;
  readonly target: SpaceFacts;
}

export interface SourceAgreement extends Volumes {
  readonly ready: MessageOf<"ready">;
}

/**
 * What a source says without waiting for an answer to its hello: the target's would change nothing of it. Empty when the
 * volume is counted first: nobody counts for a target that is not there.
 */
export function saidAtOnce(run: SourceRun, facts: VolumeFacts): readonly OutgoingMessage[] {
  if (run.scanFirst) return [];
  return [preflightMessage(facts, null, run.rules.length > 0), startMessage(run)];
}

/** `facts` has been told, unless the volume is counted first. */
export async function agreeWithTarget(
  context: SessionContext,
  run: SourceRun,
  channel: ControlChannel,
  facts: VolumeFacts,
): Promise<Volumes> {
  const totals = run.scanFirst ? await countVolume(context, run, channel) : null;
  const filtered = run.rules.length > 0;
  if (run.scanFirst) await channel.send(preflightMessage(facts, totals, filtered));
  const { facts: target } = await receivePreflight(channel, context.signal);
  const refusal =
    run.mode === "compare" ? null : refusalBeforeCopy({ facts, totals, filtered }, target);
  if (refusal !== null) throw refusal;
  return { facts, totals, target };
}

async function countVolume(
  context: SessionContext,
  run: SourceRun,
  channel: ControlChannel,
): Promise<VolumeTotals> {
  context.observe({ type: "waiting", for: "the count of the source volume (--scan-first)" });
  const { addon } = context.parts;
  const signal = AbortSignal.any([context.signal, channel.over]);
  const counting = stoppable(addon, signal, (stop) =>
    addon.measureVolume(run.volume, run.oneFileSystem, run.rules, stop),
  );
  return waitFor(counting, {
    deadlineMs: LIMITS.preflightTimeoutMs,
    signal,
    tooLate: () => tooLate(channel, "end of the count", LIMITS.preflightTimeoutMs),
  });
}

/** The target has been asked, unless the volume was counted first. */
export async function untilReady(
  channel: ControlChannel,
  run: SourceRun,
  signal: AbortSignal,
): Promise<MessageOf<"ready">> {
  if (run.scanFirst) await channel.send(startMessage(run));
  return channel.receive(["ready"], {
    deadlineMs: LIMITS.readyTimeoutMs,
    signal,
    tooLate: () => tooLate(channel, "word that it is ready", LIMITS.readyTimeoutMs),
  });
}

function startMessage({ lanesMost: lanes, pass, verify, rules }: SourceRun): OutgoingMessage {
  return { type: "start", lanes, pass, verify, clock: new Date().toISOString(), rules };
}
