/** The side that reads. Usually it dials; with --listen its target does. */

import type { FlagValues } from "../config/flags.ts";
import { DEFAULTS, LIMITS } from "../config/limits.ts";
import type { PvferryError } from "../core/errors.ts";
import { defaultParallelism } from "../host/parallelism.ts";
import { loadAddon, packageVersion } from "../native/addon.ts";
import type { Addon } from "../native/types.ts";
import type { IncomingPath } from "../net/incoming-path.ts";
import type { Path } from "../net/path.ts";
import type { AgentIdentity } from "../pki/identity.ts";
import { loadSource } from "../session/load-source.ts";
import type { SourceRun } from "../session/run-options.ts";
import { checkSourceVolume } from "../session/volume-checks.ts";
import { firstWay } from "../session/way-in.ts";
import { agentIdentity } from "./agent-identity.ts";
import { modeOf } from "./mode.ts";
import type { Outcome } from "./output.ts";
import { incomingPath, pathFromFlags, type Listening } from "./path.ts";
import { ReadyFile } from "./ready-file.ts";
import { readRules } from "./rules.ts";
import type { CommandContext } from "./run-command.ts";
import { runTransfer } from "./transfer.ts";
import { volumeArgument } from "./volume-argument.ts";
import { nameOfSource } from "./volumes.ts";

/** Certificates and proxies are read before the target is dialled: a wrong file is told at once, not after the wait. */
export async function sourceCommand(context: CommandContext<"source">): Promise<Outcome> {
  const { flags, args, signal } = context;
  const volume = volumeArgument(args[0], "SRC");
  const volumeName = nameOfSource(flags.volume);
  const rules = readRules(flags);
  const mode = modeOf(flags);
  return runTransfer({ ...flags, prints: true }, async (observe) => {
    const notice = (message: string): void => observe({ type: "notice", message });
    const failed = new AbortController();
    const calls = {
      waiting: (what: string): void => observe({ type: "waiting", for: what }),
      fail: (error: PvferryError): void => failed.abort(error),
    };
    using ready = new ReadyFile(flags.readyFile);
    using path = await pathOf(flags, calls, { notice, ready });
    const tls = agentIdentity(flags.tls, "source", notice);
    const { lanes, threads } = defaultParallelism();
    const run: SourceRun = {
      volume,
      mode,
      pass: flags.pass,
      path,
      tls,
      lanes: flags.lanes ?? lanes,
      bwlimit: flags.bwlimit,
      lanesMost: flags.lanes ?? LIMITS.lanesAdaptedMost,
      congestion: flags.congestion,
      scanThreads: threads,
      compress: flags.compress,
      oneFileSystem: flags.oneFileSystem,
      selinux: flags.selinux,
      rules,
      rereads: DEFAULTS.rereads,
      verify: flags.verify,
      connectTimeoutMs: flags.connectTimeout,
      reconnectTimeoutMs: flags.reconnectTimeout,
      scanFirst: flags.scanFirst,
      volumeName,
    };
    const ended = AbortSignal.any([signal, failed.signal]);
    const addon = loadAddon();
    using _doctors = await doctorsOf(path, addon, tls, notice);
    // Nobody is called for a volume that cannot be read.
    checkSourceVolume(addon, volume);
    const begun = firstWay(addon, run, ended);
    const { runSource } = await loadSource();
    return await runSource(run, observe, ended, begun);
  });
}

type SourcePath = IncomingPath | (Path & Disposable);

/** They come to a source that listens; one that dials needs nothing of it. */
async function doctorsOf(
  path: SourcePath,
  addon: Addon,
  tls: AgentIdentity,
  notice: (message: string) => void,
): Promise<Disposable | null> {
  if (!("onSpeaker" in path)) return null;
  const { welcomeDoctors } = await import("../session/doctor/beside-source.ts");
  return welcomeDoctors({ addon, agent: packageVersion(), path, tls, notice });
}

async function pathOf(
  flags: FlagValues<"source">,
  calls: Parameters<typeof incomingPath>[1],
  listening: Listening,
): Promise<SourcePath> {
  const { listen } = flags;
  const { ready, notice } = listening;
  if (listen !== null) return incomingPath({ ...flags, listen }, calls, listening);
  ready.refuse();
  const path = await pathFromFlags(flags, "source", notice);
  // What has been dialled, the session closes.
  return { ...path, [Symbol.dispose]: () => undefined };
}
