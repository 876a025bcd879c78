/** The native core's callbacks do not keep the process alive, so that nothing hangs at exit; a running session does. */

const LONG_MS = 60 * 60 * 1_000;

/** Returns what lets go again. */
export function stayAlive(): () => void {
  const timer = setInterval(() => undefined, LONG_MS);
  return () => clearInterval(timer);
}
