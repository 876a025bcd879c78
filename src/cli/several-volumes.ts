/** A target of several volumes: each has its own lines, files and end; the command's outcome is made from all of them. */

import process from "node:process";

import type { FlagValues } from "../config/flags.ts";
import { PvferryError } from "../core/errors.ts";
import { exitCodeText } from "../core/exit-codes.ts";
import { quantityText } from "../core/units.ts";
import { hostText } from "../host/host-text.ts";
import { linePrinter, SILENT_PRINTER, type Printer } from "../observe/printers.ts";
import { TransferWatch } from "../observe/transfer-watch.ts";
import type { Observe, TargetPlace } from "../session/run-options.ts";
import { runTargets, type ServedVolume, type TargetEnd } from "../session/target.ts";
import { errorOutcome, printOutcome, type Outcome } from "./output.ts";
import type { CommandContext } from "./run-command.ts";
import { FILE_FLAGS, flagsOfVolume, namesVolume, runOf } from "./target-volume.ts";
import { TransferReport } from "./transfer.ts";
import type { OwnVolume } from "./volumes.ts";

type TargetFlags = FlagValues<"target">;

/** Rejects when nothing can be served; what becomes of a single volume is part of the outcome. */
export async function targetOfSeveral(
  volumes: readonly OwnVolume[],
  { flags, signal }: CommandContext<"target">,
  placeOf: (observe: Observe) => Promise<TargetPlace>,
): Promise<Outcome> {
  refuseOneForAll(flags);
  const observe = observerOfAll(flags);
  using reports = new DisposableStack();
  const openReport = (volume: OwnVolume): VolumeReport =>
    reports.use(new VolumeReport(flags, volume));
  const opened = volumes.map(openReport);
  const place = await placeOf(observe);
  const served = opened.map((report) => report.serveAt(place));
  await runTargets(place, served, observe, signal);
  return outcomeOf(opened);
}

/** Throws (2) for what would be one file, or one source, for all volumes. */
function refuseOneForAll(flags: TargetFlags): void {
  for (const name of FILE_FLAGS) {
    const file = flags[name];
    if (file === null || namesVolume(file)) continue;
    throw new PvferryError({
      code: 2,
      message: `--${name} names one file for several volumes.`,
      next: `Put {volume} where the volume's name is to stand, such as --${name} '{volume}.json'.`,
    });
  }
  if (flags.to === null && flags.toFile === null) return;
  throw new PvferryError({
    code: 2,
    message: "A target that dials has one source, and that has one volume.",
    next: "Start one target for each volume, or let the target listen.",
  });
}

function printerFor({ quiet }: TargetFlags, prefix: string): Printer {
  return quiet ? SILENT_PRINTER : linePrinter(process.stderr, { prefix });
}

/** Of what concerns no single volume: the listener, strangers, doctors. */
function observerOfAll(flags: TargetFlags): Observe {
  const printer = printerFor(flags, "");
  const { observe } = new TransferWatch(printer, flags.verbose > 0);
  // Nothing is counted here, so that there is no progress to tell.
  printer.stop();
  if (flags.verbose > 0) observe({ type: "notice", message: hostText() });
  return observe;
}

class VolumeReport implements Disposable {
  readonly #flags: TargetFlags;
  readonly #volume: OwnVolume;
  readonly #report: TransferReport;
  #outcome: Outcome | null = null;

  /** Throws when a file beside the volume cannot be written. */
  constructor(flags: TargetFlags, volume: OwnVolume) {
    this.#flags = flags;
    this.#volume = volume;
    const printer = printerFor(flags, prefixOf(volume));
    this.#report = new TransferReport(flagsOfVolume(flags, volume), printer);
  }

  get name(): string {
    return this.#volume.name;
  }

  /** Of a volume that has had its end. */
  get outcome(): Outcome {
    if (this.#outcome === null) throw new TypeError("a volume without an end");
    return this.#outcome;
  }

  serveAt({ tls }: TargetPlace): ServedVolume {
    const run = runOf(this.#flags, this.#volume, tls);
    return { run, observe: this.#report.observe, onEnd: (end) => this.#conclude(end) };
  }

  [Symbol.dispose](): void {
    this.#report[Symbol.dispose]();
  }

  /** Said, and its files written, at once: the others may take hours. */
  #conclude(end: TargetEnd | PvferryError): void {
    const { verbose } = this.#flags;
    const outcome =
      end instanceof PvferryError ? errorOutcome(end, verbose) : this.#report.conclude(end);
    this.#report[Symbol.dispose]();
    const own = (text: string | null): string | null =>
      text?.replaceAll(/^/gm, prefixOf(this.#volume)) ?? null;
    const said = { ...outcome, words: own(outcome.words), brief: own(outcome.brief) };
    printOutcome({ ...said, document: null, lines: [] }, this.#flags);
    this.#outcome = outcome;
  }
}

function prefixOf({ name }: OwnVolume): string {
  return `[${name}] `;
}

/** The exit code is that of the first volume, in the order in which they were given, that has one other than 0. */
function outcomeOf(volumes: readonly VolumeReport[]): Outcome {
  const failed = volumes.filter(({ outcome }) => outcome.code !== 0);
  const code = failed[0]?.outcome.code ?? 0;
  const documents = volumes.map(({ name, outcome }) => ({ volume: name, ...outcome.document }));
  const words = summary(volumes.length, failed);
  return {
    code,
    document: { exitCode: code, volumes: documents },
    lines: [],
    words,
    brief: words,
  };
}

function summary(all: number, failed: readonly VolumeReport[]): string {
  if (failed.length === 0) return `pvferry: all ${all} volumes ended well.`;
  const named = failed.map(({ name, outcome }) => `${name} with ${exitCodeText(outcome.code)}`);
  return `pvferry: of ${quantityText(all, "volume")} ${failed.length} did not end well: ${named.join(", ")}.`;
}
