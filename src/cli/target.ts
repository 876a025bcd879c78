/** The side that listens and writes. */

import { LIMITS } from "../config/limits.ts";
import { hostPortText } from "../config/value-kinds.ts";
import { runTarget } from "../session/target.ts";
import { agentIdentity } from "./agent-identity.ts";
import { boundAddress } from "./bound-address.ts";
import type { Outcome } from "./output.ts";
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
    const listen = boundAddress(flags.listen);
    return runTarget(
      {
        volume,
        listen,
        tls,
        volumeName: flags.volumeName,
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
        // docs/flags.md promises this line to scripts that let the kernel choose the port.
        onListening: (port) => notice(`Listening on ${hostPortText({ ...listen, port })}`),
      },
      observe,
      signal,
    );
  });
}
