/** Looks what the kernel says of the lanes, and draws the conclusions: how many there are, and by what they are paced. */

import { LIMITS } from "../config/limits.ts";
import type { TransferEvent } from "../core/events.ts";
import { quantityText } from "../core/units.ts";
import type { Congestion, SourceSession } from "../native/types.ts";
import { LanePlan, type LaneRange } from "./lane-plan.ts";
import type { Lanes } from "./lanes.ts";
import { hasQueue, LossWatch } from "./loss-watch.ts";

export interface TuningStart {
  readonly session: Pick<SourceSession, "path" | "limitUnsent" | "setCongestion">;
  readonly lanes: Pick<Lanes, "open" | "grow">;
  readonly congestion: Congestion;
  readonly range: LaneRange;
  /** To the other agent and back; null when nobody knows. */
  readonly roundTripMs: number | null;
  /** What the target has acknowledged, of lanes that are bridged; null when the kernel itself sees them. */
  readonly bytesDone: (() => number) | null;
  readonly observe: (event: TransferEvent) => void;
}

export class LaneTuning {
  readonly #start: TuningStart;
  readonly #plan: LanePlan;
  readonly #losses = new LossWatch();
  /** Losses do not slow the lanes down as they do those of other algorithms. */
  #hasBbr = false;
  /** The kernel was not asked for it yet, nor for anything else. */
  #mayAsk: boolean;
  #told: number;
  /** Lanes keep little before them. */
  #isShort = false;

  /** Begins to dial. */
  constructor(start: TuningStart) {
    this.#start = start;
    this.#plan = new LanePlan(start.range, start.roundTripMs);
    this.#mayAsk = start.congestion === "auto";
    if (start.congestion !== "auto") this.#insist(start.congestion);
    this.#keepShort(start.roundTripMs ?? 0);
    this.#told = this.#plan.lanes;
    start.lanes.open(this.#plan.lanes);
  }

  /** To be called several times in a second. */
  look(atMs: number): void {
    if (this.#start.bytesDone !== null) return this.#lookAcross(this.#start.bytesDone(), atMs);
    const reading = this.#start.session.path();
    const { roundTripUs, leastRoundTripUs, acknowledgedBytes } = reading;
    // Without lanes the kernel says nothing.
    if (roundTripUs === 0) return;
    // The kernel's may be that of a proxy close by.
    const roundTripMs = Math.max(leastRoundTripUs / 1_000, this.#start.roundTripMs ?? 0);
    // A short one makes up for a loss before anybody notices.
    if (roundTripMs >= LIMITS.shortPathMs) this.#losses.add(reading);
    if (this.#losses.isLossy) this.#onLossy();
    const needsAll = this.#losses.isLossy && !this.#hasBbr;
    this.#keepShort(roundTripMs);
    const progress = { atMs, roundTripMs, acknowledgedBytes, needsAll };
    this.#plan.add({ ...progress, hasQueue: hasQueue(reading) });
    this.#growTo(this.#plan.lanes);
  }

  /** Behind a bridge the kernel says nothing: all that is known is how far it is, and how much gets there. */
  #lookAcross(acknowledgedBytes: number, atMs: number): void {
    const { roundTripMs } = this.#start;
    const unseen = { hasQueue: false, needsAll: false };
    this.#plan.add({ atMs, roundTripMs, acknowledgedBytes, ...unseen });
    this.#growTo(this.#plan.lanes);
  }

  #insist(congestion: Exclude<Congestion, "auto">): void {
    const refusal = this.#start.session.setCongestion(congestion);
    this.#hasBbr = congestion === "bbr" && refusal === null;
    if (refusal === null) return;
    const message = `The kernel does not pace connections by ${congestion} (${refusal}); it goes on by its own choice.`;
    this.#start.observe({ type: "notice", message });
  }

  #onLossy(): void {
    if (!this.#mayAsk) return;
    this.#mayAsk = false;
    const refusal = this.#start.session.setCongestion("bbr");
    this.#hasBbr = refusal === null;
    this.#plan.restart();
    const message =
      refusal === null
        ? "The path loses packets; bbr paces the lanes from now on."
        : `The path loses packets, and the kernel does not pace connections by bbr (${refusal}).`;
    this.#start.observe({ type: "detail", message });
  }

  #keepShort(roundTripMs: number): void {
    if (this.#isShort || roundTripMs < LIMITS.longPathMs) return;
    this.#isShort = true;
    this.#start.session.limitUnsent(LIMITS.unsentBytes);
  }

  #growTo(lanes: number): void {
    if (lanes === this.#told) return;
    this.#told = lanes;
    this.#start.lanes.grow(lanes);
    const message = `There are ${quantityText(lanes, "lane")} from now on.`;
    this.#start.observe({ type: "detail", message });
  }
}
