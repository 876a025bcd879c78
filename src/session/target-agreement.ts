/** What the target settles with its source before the first byte: that the volume is usable still, large enough, and
 * whether what it holds is compared. */

import type { Mode } from "../core/mode.ts";
import type { Comparison, Existing } from "../native/types.ts";
import type { MessageOf } from "../wire/control-messages.ts";
import type { ControlChannel } from "./control-channel.ts";
import { asIfCleared, preflightMessage, receivePreflight } from "./preflight.ts";
import { racyFrom } from "./racy-from.ts";
import type { SessionContext, TargetRun } from "./run-options.ts";
import { refusalBeforeCopy } from "./space.ts";
import { checkTargetVolume, hasJournal } from "./volume-checks.ts";

/** What an unfinished copy leaves in the volume: by it a second try recognises what the first one left. */
export function transferRecord(run: TargetRun): string {
  return `${run.transfer}/${run.volumeName}`;
}

/** What the copy goes onto. */
export interface Onto {
  /** null for a volume that is empty. */
  readonly compare: Comparison | null;
  readonly existing: Existing;
}

/** What the volume was like when both agreed on it. */
export interface Agreed {
  /** Nothing is in it. */
  readonly empty: boolean;
  /** What is in it comes from this very transfer, or its journal is discarded. */
  readonly own: boolean;
}

export async function agreeWithSource(
  context: SessionContext,
  run: TargetRun,
  channel: ControlChannel,
  mode: Mode,
): Promise<Agreed> {
  const found = checkTargetVolume(context.parts.addon, run, transferRecord(run), mode);
  const facts = asIfCleared(found, run.existing);
  await channel.send(preflightMessage(facts, null, false));
  const source = await receivePreflight(channel, context.signal);
  const refusal = mode === "compare" ? null : refusalBeforeCopy(source, facts);
  if (refusal !== null) throw refusal;
  return { empty: found.firstNames.length === 0, own: hasJournal(found) };
}

/** How what is there is compared, now that the source has said that it starts. */
export async function chooseComparison(
  context: SessionContext,
  run: TargetRun,
  { empty, own }: Agreed,
  start: MessageOf<"start">,
): Promise<Onto> {
  // A journal may know of parts of large files, where nothing has its name yet.
  if (empty && !own) return { compare: null, existing: run.existing };
  // Passes of one transfer make the target what the source is, unless told otherwise.
  const existing = own && run.existing === "refuse" ? "mirror" : run.existing;
  const digests = run.discardJournal || run.compare === "digest";
  const compare = { digests, racyFrom: null };
  if (!own || digests) return { compare, existing };
  const journal = await context.parts.addon.readJournal(run.volume);
  return {
    compare: { ...compare, racyFrom: racyFrom(journal, start.clock, Date.now()) },
    existing,
  };
}
