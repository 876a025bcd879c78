/** Both agents on this machine: the target in a process of its own, the source in this one. */

import process from "node:process";

import type { FlagValues } from "../config/flags.ts";
import { DEFAULTS, LIMITS } from "../config/limits.ts";
import { PvferryError, toPvferryError } from "../core/errors.ts";
import { isLook } from "../core/mode.ts";
import type { Receipt } from "../core/receipt.ts";
import { copyVolumeName } from "../core/transfer-id.ts";
import { waitFor } from "../core/waiting.ts";
import { defaultParallelism } from "../host/parallelism.ts";
import { loadAddon } from "../native/addon.ts";
import { directPath } from "../net/path.ts";
import { copyIdentities, type CopyIdentities } from "../pki/copy-identities.ts";
import { noDeadline } from "../session/late.ts";
import type { SourceRun } from "../session/run-options.ts";
import { CopyChild, type ChildEnd } from "./copy-child.ts";
import { prepareCopyFolders, requireFolder, type CopyFolders } from "./copy-folders.ts";
import { modeOf } from "./mode.ts";
import type { Outcome } from "./output.ts";
import { readRules } from "./rules.ts";
import type { CommandContext } from "./run-command.ts";
import { runTransfer, type Observe } from "./transfer.ts";
import { volumeArgument } from "./volume-argument.ts";

/**
 * Both processes end with this command, whatever it ends with; a DST that was made here and stayed empty is taken away
 * again, so that a wrong path leaves nothing behind.
 */
export async function copyCommand(context: CommandContext<"copy">): Promise<Outcome> {
  const { flags, args } = context;
  const source = volumeArgument(args[0], "SRC");
  const target = volumeArgument(args[1], "DST");
  const rules = readRules(flags);
  const mode = modeOf(flags);
  const transfer = async (observe: Observe): Promise<Receipt> => {
    if (isLook(mode)) requireFolder(target, "DST");
    const folders = prepareCopyFolders(source, target);
    try {
      return await copyBetween(folders, { mode, rules }, context, observe);
    } catch (error) {
      folders.removeMadeIfEmpty();
      throw error;
    }
  };
  return runTransfer({ ...flags, prints: true }, transfer, (item) => item.side === "source");
}

async function copyBetween(
  folders: CopyFolders,
  asked: Pick<SourceRun, "mode" | "rules">,
  context: CommandContext<"copy">,
  observe: Observe,
): Promise<Receipt> {
  const child = new CopyChild(programPath(), (message) => observe({ type: "notice", message }));
  const kill = (): void => child.kill();
  // For an end that passes by "finally": a second Ctrl-C, or the deadline after the first.
  process.once("exit", kill);
  try {
    const identities = await copyIdentities(context.environment);
    const listening = child.start({
      type: "start",
      volume: folders.target,
      volumeName: copyVolumeName(folders.source, folders.target),
      existing: context.flags.existing,
      compare: context.flags.compare,
      maxDelete: context.flags.maxDelete,
      allowEmptySource: context.flags.allowEmptySource,
      inplace: context.flags.inplace,
      tls: identities.target,
      checkpointMs: context.flags.checkpoint,
      discardJournal: context.flags.discardJournal,
      readOnly: isLook(asked.mode),
      items: context.flags.items,
      reconnectTimeoutMs: context.flags.reconnectTimeout,
    });
    // Loaded only now, while the child loads its own part on another CPU.
    const [port, { runSource }] = await Promise.all([listening, import("../session/source.ts")]);
    const run = { ...sourceRun(folders, context.flags, identities, port), ...asked };
    const signal = AbortSignal.any([context.signal, targetGone(child)]);
    return await conclude(child, runSource(run, observe, signal), context.signal);
  } finally {
    await child.close();
    process.removeListener("exit", kill);
  }
}

/** Whatever this process was started as: the built program, or its sources. */
function programPath(): string {
  const [, program = ""] = process.argv;
  return program;
}

/** As between clusters, but for one thing: the target is there already, so that waiting for it has a short end. */
function sourceRun(
  folders: CopyFolders,
  flags: FlagValues<"copy">,
  identities: CopyIdentities,
  port: number,
): Omit<SourceRun, "mode" | "rules"> {
  const { lanes, threads } = defaultParallelism();
  return {
    volume: folders.source,
    pass: flags.pass,
    path: directPath({ kind: "tcp", hosts: ["127.0.0.1"], port }, () => loadAddon().socketPair()),
    tls: identities.source,
    lanes: flags.lanes ?? lanes,
    bwlimit: flags.bwlimit,
    lanesMost: flags.lanes ?? LIMITS.lanesAdaptedMost,
    congestion: "auto",
    scanThreads: threads,
    compress: flags.compress,
    oneFileSystem: flags.oneFileSystem,
    selinux: flags.selinux,
    rereads: DEFAULTS.rereads,
    verify: flags.verify,
    connectTimeoutMs: LIMITS.connectAttemptMs,
    reconnectTimeoutMs: flags.reconnectTimeout,
    scanFirst: flags.scanFirst,
    volumeName: copyVolumeName(folders.source, folders.target),
  };
}

/**
 * A target that is gone does not come back, and is not looked for. One that says why has told the source too, which gets
 * a moment to end by itself.
 */
function targetGone(child: CopyChild): AbortSignal {
  const gone = new AbortController();
  void child.ended.then((end) => {
    const error = end.type === "receipt" ? targetEnded() : end.error;
    const graceMs = end.type === "vanished" ? 0 : LIMITS.reasonGraceMs;
    setTimeout(() => gone.abort(error), graceMs).unref();
  });
  return gone.signal;
}

function targetEnded(): PvferryError {
  return new PvferryError({
    code: 20,
    message: "The connection to the target's process was lost, and it has ended.",
    next: "Run the same command again.",
  });
}

/** The source's word counts, unless all it knows is that the target is gone. */
async function conclude(
  child: CopyChild,
  running: Promise<Receipt>,
  signal: AbortSignal,
): Promise<Receipt> {
  try {
    const receipt = await running;
    // It still has to leave the volume and to flush its items, and to say that it could not.
    const end = await waitFor(child.ended, { deadlineMs: null, signal, tooLate: noDeadline });
    if (end.type !== "receipt") throw end.error;
    return receipt;
  } catch (thrown) {
    const error = toPvferryError(thrown);
    if (signal.aborted) throw error;
    return betterKnown(error, await child.endWithin(LIMITS.stopWithinMs));
  }
}

/** 20 and 24 only say that the other side ended; then the other side knows why, or even has the receipt. */
function betterKnown(error: PvferryError, end: ChildEnd | null): Receipt {
  const secondHand = error.code === 20 || error.code === 24;
  if (!secondHand || end === null) throw error;
  if (end.type === "receipt") return end.receipt;
  throw end.error.code === 20 ? error : end.error;
}
