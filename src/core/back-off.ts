/** Pauses between attempts: doubling, capped, with jitter so that many agents do not knock in step. Pure. */

export interface BackOff {
  readonly firstMs: number;
  readonly longestMs: number;
}

/** The pause after `failures` failures (1, 2 ...): between half of the doubled pause and all of it. */
export function backOffMs(
  backOff: BackOff,
  failures: number,
  random: () => number = Math.random,
): number {
  return boundMs(backOff, failures) * (0.5 + random() / 2);
}

/** Anything between nothing and the doubled pause: for many who lost the same thing in the same instant. */
export function fullJitterMs(
  backOff: BackOff,
  failures: number,
  random: () => number = Math.random,
): number {
  return boundMs(backOff, failures) * random();
}

function boundMs(backOff: BackOff, failures: number): number {
  const doubled = backOff.firstMs * 2 ** Math.min(Math.max(failures, 1) - 1, 30);
  return Math.min(doubled, backOff.longestMs);
}
