/** The side that writes. Usually it listens; with --to it dials its source. */

import type { FlagValues } from "../config/flags.ts";
import { hostPortText } from "../config/value-kinds.ts";
import type { Observe, Reach, TargetPlace } from "../session/run-options.ts";
import { runTarget } from "../session/target.ts";
import { agentIdentity } from "./agent-identity.ts";
import { boundAddress } from "./bound-address.ts";
import type { Outcome } from "./output.ts";
import { forwardFromFlags, pathFromFlags } from "./path.ts";
import { ReadyFile } from "./ready-file.ts";
import type { CommandContext } from "./run-command.ts";
import { targetOfSeveral } from "./several-volumes.ts";
import { flagsOfVolume, runOf } from "./target-volume.ts";
import { runTransfer } from "./transfer.ts";
import { volumesOfTarget } from "./volumes.ts";

/**
 * One session for each volume, then the end: with the receipts, or with what kept it from one. For a finished copy's
 * source that does not try again (--reconnect-timeout 0) the target waits as long as for one that has lost the verdict.
 */
export async function targetCommand(context: CommandContext<"target">): Promise<Outcome> {
  const { flags, args, signal } = context;
  const [first, ...others] = volumesOfTarget(args[0], flags.volume);
  using ready = new ReadyFile(flags.readyFile);
  const placeOf = async (observe: Observe): Promise<TargetPlace> => place(flags, ready, observe);
  if (others.length > 0) return await targetOfSeveral([first, ...others], context, placeOf);
  return await runTransfer(flagsOfVolume(flags, first), async (observe) => {
    const at = await placeOf(observe);
    return runTarget({ ...at, ...runOf(flags, first, at.tls) }, observe, signal);
  });
}

/** Certificates and proxies are read before anybody listens: a wrong file is told at once. */
async function place(
  flags: FlagValues<"target">,
  ready: ReadyFile,
  observe: Observe,
): Promise<TargetPlace> {
  const notice = (message: string): void => observe({ type: "notice", message });
  const tls = agentIdentity(flags.tls, "target", notice);
  const reach = await reachOf(flags, ready, notice);
  const onListening = (port: number): void => {
    if (reach.by === "listening") ready.listens({ host: reach.host, port });
    notice(reachedText(reach, port));
  };
  return { tls, reach, onListening };
}

async function reachOf(
  flags: FlagValues<"target">,
  ready: ReadyFile,
  notice: (message: string) => void,
): Promise<Reach> {
  const forward = await forwardFromFlags(flags, { notice, ready });
  if (forward !== null) return { by: "forwarding", forward };
  if (flags.to === null && flags.toFile === null) {
    return { by: "listening", ...boundAddress(flags.listen) };
  }
  ready.refuse();
  return { by: "dialling", path: await pathFromFlags(flags, "target", notice) };
}

/** docs/flags.md promises the first of them to scripts that let the kernel choose the port. */
function reachedText(reach: Reach, port: number): string {
  if (reach.by === "listening") return `Listening on ${hostPortText({ ...reach, port })}`;
  return reach.by === "dialling"
    ? `Dialling the source at ${reach.path.text}`
    : `Asking for a listener: ${reach.forward.text}`;
}
