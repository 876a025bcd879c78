/** Deadlines that passed although the peer lives, or the volume is there. */

import { PvferryError, toPvferryError } from "../core/errors.ts";
import { escapeText } from "../core/names.ts";
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

export function notOnDisk(volume: string, waitedMs: number): PvferryError {
  return new PvferryError({
    code: 32,
    message: `The target volume ${escapeText(volume)} was not written to disk within ${durationText(waitedMs)}.`,
    next: "Check the health of the volume and of its file system, then run the same command again.",
  });
}
