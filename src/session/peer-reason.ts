/** Why a session really ended: when the data connections break, the control channel often says why just after. */

import { LIMITS } from "../config/limits.ts";
import { toPvferryError, type PvferryError } from "../core/errors.ts";
import { waitFor } from "../core/waiting.ts";

/**
 * The better of two reasons: `error`, or how the channel ends within a moment, if that is more than a lost connection.
 * A peer whose session is over refuses its connections (22) before this side has heard that control is lost.
 */
export async function reasonFromPeer(
  error: PvferryError,
  over: AbortSignal,
): Promise<PvferryError> {
  if (error.code !== 20 && error.code !== 22) return error;
  const never = Promise.withResolvers<never>().promise;
  const wait = { deadlineMs: LIMITS.reasonGraceMs, signal: over, tooLate: () => error };
  const reason = await waitFor(never, wait).catch((thrown: unknown) => toPvferryError(thrown));
  return error.code === 20 && reason.code === 20 ? error : reason;
}
