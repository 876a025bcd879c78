/** What the source settles with its target before the first byte: that it fits, and that it may begin. */

import { LIMITS } from "../config/limits.ts";
import { waitFor } from "../core/waiting.ts";
import { stoppable } from "../native/stoppable.ts";
import type { VolumeFacts, VolumeTotals } from "../native/types.ts";
import type { MessageOf } from "../wire/control-messages.ts";
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

export async function agreeWithTarget(
  context: SessionContext,
  run: SourceRun,
  channel: ControlChannel,
  facts: VolumeFacts,
): Promise<Volumes> {
  const totals = run.scanFirst ? await countVolume(context, run, channel) : null;
  const filtered = run.rules.length > 0;
  await channel.send(preflightMessage(facts, totals, filtered));
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

export async function askToStart(
  channel: ControlChannel,
  {
    lanesMost: lanes,
    pass,
    verify,
    rules,
  }: Pick<SourceRun, "lanesMost" | "pass" | "verify" | "rules">,
  signal: AbortSignal,
): Promise<MessageOf<"ready">> {
  const clock = new Date().toISOString();
  await channel.send({ type: "start", lanes, pass, verify, clock, rules });
  return channel.receive(["ready"], {
    deadlineMs: LIMITS.readyTimeoutMs,
    signal,
    tooLate: () => tooLate(channel, "word that it is ready", LIMITS.readyTimeoutMs),
  });
}
