/**
 * A copy that an earlier target has finished, without coming to remove pvferry's folder. Its source may never come again,
 * for it may have heard that all is well: so it is waited for like one that was lost, and not like a first one.
 */

import { PvferryError } from "../core/errors.ts";
import { exitCodeText, isExitCode, type ExitCode } from "../core/exit-codes.ts";
import type { FinishedEnd } from "../core/finished-end.ts";
import { escapeText } from "../core/names.ts";
import type { PassRecord } from "../native/journal-types.ts";
import type { Addon } from "../native/types.ts";
import type { Door, Guest } from "./door.ts";
import { momentText } from "./moment.ts";
import { Recovery } from "./recovery.ts";
import type { TargetRun } from "./run-options.ts";
import { transferRecord } from "./target-agreement.ts";
import { verdict } from "./verdict.ts";

/** How the pass ended that finished the copy. */
interface Ended {
  readonly pass: PassRecord;
  readonly code: ExitCode;
}

export class FinishedCopy {
  readonly #run: TargetRun;
  readonly #ended: Ended;
  readonly #clock: Recovery;
  /** Sources that were waited for. */
  #waits = 0;

  private constructor(run: TargetRun, ended: Ended, waitMs: number) {
    this.#run = run;
    this.#ended = ended;
    this.#clock = new Recovery(waitMs);
    // The earlier target's session is one that broke, and moves nothing any more.
    this.#clock.broke(false);
  }

  /**
   * null when there is none, and when nobody may act on it: the run's source is sure to come, its volume is not to be
   * written to, or what the journal says is not to count. Rejects with what readJournal rejects with.
   */
  static async find(addon: Addon, run: TargetRun): Promise<FinishedCopy | null> {
    const { finishedWaitMs, readOnly, discardJournal } = run;
    if (finishedWaitMs === null || readOnly || discardJournal) return null;
    const journal = await addon.readJournal(run.volume);
    if (journal?.isFinished !== true || journal.transfer !== transferRecord(run)) return null;
    const ended = howEnded(journal.passes.at(-1) ?? null);
    return ended === null ? null : new FinishedCopy(run, ended, finishedWaitMs);
  }

  /**
   * The next source; null when none has come in time. Once one has come, and is lost before anything is written, that
   * time begins anew, for it tries again as long; with further ones it does not.
   */
  async admit(door: Door): Promise<Guest | null> {
    this.#waits += 1;
    if (this.#waits === 2) this.#clock.broke(true);
    const none = new PvferryError({ code: 20, message: "No source came.", next: "" });
    try {
      return await door.admit({ deadlineMs: this.#clock.remainingMs, tooLate: () => none });
    } catch (error) {
      if (error === none) return null;
      throw error;
    }
  }

  waitingText(): string {
    const { number, ended } = this.#ended.pass;
    return (
      `The copy into the target volume ${escapeText(this.#run.volume)} is finished: pass ${number} ended at ` +
      `${momentText(ended)} with exit code ${exitCodeText(this.#ended.code)}, and only pvferry's own folder is left. ` +
      `Waiting for a source that may want to compare once more, ${this.#clock.untilText()}; then the folder goes, ` +
      "and this target ends with that exit code."
    );
  }

  /** Removes the folder; resolves when that is on disk. Rejects with what leaveFinished rejects with. */
  async leave(addon: Addon): Promise<FinishedEnd> {
    const pass = await addon.leaveFinished(this.#run.volume, transferRecord(this.#run));
    return finishedEnd(this.#run, howEnded(pass) ?? this.#ended);
  }
}

/** null for none, and for an exit code that only another release knows. */
function howEnded(pass: PassRecord | null): Ended | null {
  return pass !== null && isExitCode(pass.verdict) ? { pass, code: pass.verdict } : null;
}

function finishedEnd({ volume, volumeName, transfer }: TargetRun, ended: Ended): FinishedEnd {
  const { kind, number, receipt, ended: at } = ended.pass;
  const endedAt = momentText(at);
  const message =
    `The copy into the target volume ${escapeText(volume)} was finished at ${endedAt}, and the outcome is that of ` +
    `pass ${number}: exit code ${exitCodeText(ended.code)}. No source came to compare once more, and pvferry's folder is gone.`;
  const next =
    `There is no new receipt: that of the pass, whose BLAKE3 is ${receipt}, was given to its source, or went with the ` +
    `target that made it.${ended.code === 0 ? "" : NAMES_NO_ENTRY}`;
  return {
    ...verdict(ended.code, message, next),
    transfer,
    volume: volumeName,
    pass: { kind, number },
    endedAt,
    receiptDigest: receipt,
  };
}

const NAMES_NO_ENTRY =
  " Look there for what was not kept; without it, compare the two volumes with --mode verify.";
