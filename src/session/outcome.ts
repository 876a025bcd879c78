/** How the source learns its outcome: by listening; or, when the connection breaks too late, by coming back for it. */

import { PvferryError } from "../core/errors.ts";
import { durationText } from "../core/units.ts";
import type { MessageOf } from "../wire/control-messages.ts";
import type { ControlChannel } from "./control-channel.ts";
import { isRefusal } from "./endings.ts";
import { noDeadline } from "./late.ts";
import type { SourceCopy } from "./source-copy.ts";

/** Takes all that the target says from the copy's beginning on, until it says that the volume is durable. */
export async function listenUntilDurable(
  channel: ControlChannel,
  copy: SourceCopy,
  signal: AbortSignal,
): Promise<MessageOf<"durable">> {
  for (;;) {
    const message = await channel.receive(["progress", "durable"], {
      // The copy takes as long as it takes; keep-alives watch the peer, and settling has its own deadline.
      deadlineMs: null,
      signal,
      tooLate: noDeadline,
    });
    if (message.type === "durable") return message;
    copy.onProgress(message);
  }
}

/** Everything was sent and acknowledged, but whether the target finished nobody says. */
export function outcomeUnknown(cause: PvferryError, waitedMs: number): PvferryError {
  const end = isRefusal(cause)
    ? "what answers in its place does not know it"
    : `not found again within ${durationText(waitedMs)}`;
  return new PvferryError({
    code: 20,
    message: `The outcome is unknown: the target was lost before its verdict came, and ${end}.`,
    next: "Look at what the target printed, or run both sides again.",
    cause,
  });
}
