/** Long work of the addon that ends with a signal. */

import type { Addon, StopFlag } from "./types.ts";

/**
 * Settles as the work does, but rejects with the signal's reason once that is aborted. It settles only when the work has
 * ended, so that nothing reads or removes anything afterwards: within a batch of entries, or a piece of a file.
 */
export async function stoppable<T>(
  addon: Pick<Addon, "stopFlag">,
  signal: AbortSignal,
  work: (stop: StopFlag) => Promise<T>,
): Promise<T> {
  signal.throwIfAborted();
  const flag = addon.stopFlag();
  const onAbort = (): void => flag.close();
  signal.addEventListener("abort", onAbort, { once: true });
  try {
    return await work(flag);
  } catch (error) {
    signal.throwIfAborted();
    throw error;
  } finally {
    signal.removeEventListener("abort", onAbort);
  }
}
