/** The side that writes. Usually it listens; with --to it dials its source. */

import type { FlagValues } from "../config/flags.ts";
import { LIMITS } from "../config/limits.ts";
import { hostPortText } from "../config/value-kinds.ts";
import type { Reach } from "../session/run-options.ts";
import { runTarget } from "../session/target.ts";
import { agentIdentity } from "./agent-identity.ts";
import { boundAddress } from "./bound-address.ts";
import type { Outcome } from "./output.ts";
import { forwardFromFlags, pathFromFlags } from "./path.ts";
import type { CommandContext } from "./run-command.ts";
import { runTransfer } from "./transfer.ts";
import { volumeArgument } from "./volume-argument.ts";

/**
 * One session, then the end: with the receipt, or with what kept it from one. For a finished copy's source that does not
 * try again (--reconnect-timeout 0) the target waits as long as for one that has lost the verdict.
 */
export async function targetCommand(context: CommandContext<"target">): Promise<Outcome> {
  const { flags, args, signal } = context;
  const volume = volumeArgument(args[0], "DST");
  return runTransfer({ ...flags, prints: false }, async (observe) => {
    const notice = (message: string): void => observe({ type: "notice", message });
    const tls = agentIdentity(flags.tls, "target", notice);
    const reach = await reachOf(flags, notice);
    return runTarget(
      {
        volume,
        reach,
        tls,
        volumeName: flags.volumeName,
        lanesMost: flags.lanes ?? LIMITS.lanesMost,
        reconnectTimeoutMs: flags.reconnectTimeout,
        finishedWaitMs: flags.reconnectTimeout > 0 ? flags.reconnectTimeout : LIMITS.verdictKeptMs,
        existing: flags.existing,
        compare: flags.compare,
        maxDelete: flags.maxDelete,
        allowEmptySource: flags.allowEmptySource,
        inplace: flags.inplace,
        checkpointMs: flags.checkpoint,
        discardJournal: flags.discardJournal,
        readOnly: flags.readOnly,
        onListening: (port) => notice(reachedText(reach, port)),
      },
      observe,
      signal,
    );
  });
}

async function reachOf(
  flags: FlagValues<"target">,
  notice: (message: string) => void,
): Promise<Reach> {
  const forward = await forwardFromFlags(flags, notice);
  if (forward !== null) return { by: "forwarding", forward };
  if (flags.to === null && flags.toFile === null) {
    return { by: "listening", ...boundAddress(flags.listen) };
  }
  return { by: "dialling", path: await pathFromFlags(flags, "target", notice) };
}

/** docs/flags.md promises the first of them to scripts that let the kernel choose the port. */
function reachedText(reach: Reach, port: number): string {
  if (reach.by === "listening") return `Listening on ${hostPortText({ ...reach, port })}`;
  return reach.by === "dialling"
    ? `Dialling the source at ${reach.path.text}`
    : `Asking for a listener: ${reach.forward.text}`;
}
