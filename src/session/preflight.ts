/** Each side tells the other what its volume is like; both judge in the same way whether the copy can end well. */

import { LIMITS } from "../config/limits.ts";
import type { Existing, VolumeFacts, VolumeTotals } from "../native/types.ts";
import type { MessageOf, OutgoingMessage } from "../wire/control-messages.ts";
import type { ControlChannel } from "./control-channel.ts";
import { tooLate } from "./late.ts";

export function preflightMessage(
  facts: VolumeFacts,
  totals: VolumeTotals | null,
  filtered: boolean,
): Extract<OutgoingMessage, { type: "preflight" }> {
  const { filesystem, readOnly, isMountPoint, uid, gid, capabilities } = facts;
  const { totalBytes, freeBytes, usedBytes, totalInodes, freeInodes } = facts;
  return {
    type: "preflight",
    facts: {
      filesystem,
      readOnly,
      totalBytes,
      freeBytes,
      usedBytes,
      totalInodes,
      freeInodes,
      isMountPoint,
      uid,
      gid,
      capabilities,
    },
    totals,
    filtered,
  };
}

/**
 * What the volume holds already may be what the source has too: until more is known, all of the volume counts as free.
 */
export function asIfCleared(facts: VolumeFacts, existing: Existing): VolumeFacts {
  const holdsOthers = existing !== "refuse" && facts.firstNames.length > 0;
  const ours = facts.unfinishedTransfer !== null || facts.journalError !== null;
  if (!ours && !holdsOthers) return facts;
  return { ...facts, freeBytes: facts.totalBytes, freeInodes: facts.totalInodes };
}

export async function receivePreflight(
  channel: ControlChannel,
  signal: AbortSignal,
): Promise<MessageOf<"preflight">> {
  return channel.receive(["preflight"], {
    deadlineMs: LIMITS.preflightTimeoutMs,
    signal,
    tooLate: () => tooLate(channel, "facts about its volume", LIMITS.preflightTimeoutMs),
  });
}
