/** Deadlines that passed although the peer lives. */

import { PvferryError, toPvferryError } from "../core/errors.ts";
import { durationText } from "../core/units.ts";
import type { ControlChannel } from "./control-channel.ts";

export function tooLate(channel: ControlChannel, what: string, waitedMs: number): PvferryError {
  return new PvferryError({
    code: 20,
    message: `No ${what} came from ${channel.peer} within ${durationText(waitedMs)}.`,
    next: "Look at what the other side prints, then run both sides again.",
  });
}

/** For waits that end with the peer, not with a clock. */
export function noDeadline(): PvferryError {
  return toPvferryError(new Error("a wait without a deadline met one"));
}
