/** Waiting with an end: every wait has a deadline and obeys its signal. */

import type { PvferryError } from "./errors.ts";

export interface Wait {
  /** null: as long as the other side lives, which is what the keep-alives watch. */
  readonly deadlineMs: number | null;
  /** Its reason is what the wait rejects with. */
  readonly signal: AbortSignal;
  /** Made when the deadline passes. */
  readonly tooLate: () => PvferryError;
}

/** Settles as `promise` does, unless the deadline or the signal comes first; `promise` itself is then left alone. */
export async function waitFor<T>(promise: Promise<T>, wait: Wait): Promise<T> {
  const ended = Promise.withResolvers<never>();
  const timer =
    wait.deadlineMs === null
      ? undefined
      : setTimeout(() => ended.reject(wait.tooLate()), wait.deadlineMs);
  const onAbort = (): void => ended.reject(wait.signal.reason);
  if (wait.signal.aborted) onAbort();
  wait.signal.addEventListener("abort", onAbort, { once: true });
  try {
    // race() listens to both, so that the loser's later rejection is not an unhandled one.
    return await Promise.race([ended.promise, promise]);
  } finally {
    clearTimeout(timer);
    wait.signal.removeEventListener("abort", onAbort);
  }
}

/** Rejects with the signal's reason. */
export async function sleep(ms: number, signal: AbortSignal): Promise<void> {
  const done = Promise.withResolvers<void>();
  const onAbort = (): void => done.reject(signal.reason);
  if (signal.aborted) onAbort();
  signal.addEventListener("abort", onAbort, { once: true });
  const timer = setTimeout(done.resolve, ms);
  try {
    await done.promise;
  } finally {
    clearTimeout(timer);
    signal.removeEventListener("abort", onAbort);
  }
}
