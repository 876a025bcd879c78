/** What may happen to a copy, and when. */
import type { RandomBytes } from "../volume/random-bytes.ts";

/** A stopped agent (SIGSTOP) goes on after a while; agents that are killed are started again, as are those that have ended. */
export const HAPPENINGS = [
  "source killed",
  "target killed",
  "both killed",
  "source stopped",
  "target stopped",
  "connections cut",
] as const;
export type Happening = (typeof HAPPENINGS)[number];

export interface Interruption {
  readonly happening: Happening;
  /** When this share of the volume's bytes has passed the wire, and so many milliseconds later. */
  readonly share: number;
  readonly delayMs: number;
  /** How long a stopped agent stands still. */
  readonly stoppedMs: number;
  /** Whether agents go on by themselves; otherwise a loss ends both (--reconnect-timeout 0), and both are started again. */
  readonly recovers: boolean;
}

export interface Drawing {
  readonly stoppedMs: number;
  /** One in six comes when everything is written and only words are still to cross; a target may then wait for a minute. */
  readonly alsoLate: boolean;
}

export function drawInterruption(
  random: RandomBytes,
  happening: Happening,
  { stoppedMs, alsoLate }: Drawing,
): Interruption {
  const late = alsoLate && random.below(6) === 0;
  return {
    happening,
    share: late ? 1 : 0.95 * random.number(),
    delayMs: random.below(late ? 600 : 100),
    stoppedMs,
    recovers: random.below(3) > 0,
  };
}

export function describeInterruption(interruption: Interruption): string {
  const { happening, share, delayMs, recovers } = interruption;
  const when = `at ${(100 * share).toFixed(1)} % and ${delayMs} ms`;
  return `${happening} ${when}, ${recovers ? "recovering" : "run again"}`;
}
