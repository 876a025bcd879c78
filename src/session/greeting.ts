/** The hello, from both ends: who is there, in which version, for which volume. */

import { LIMITS } from "../config/limits.ts";
import { PvferryError } from "../core/errors.ts";
import type { Mode } from "../core/mode.ts";
import { escapeText } from "../core/names.ts";
import { quantityText } from "../core/units.ts";
import type { MessageOf, OutgoingMessage } from "../wire/control-messages.ts";
import { PROTOCOL_VERSIONS } from "../wire/hello.ts";
import type { ControlChannel } from "./control-channel.ts";

/** What this side says of itself. */
export interface Greeting {
  readonly agent: string;
  readonly transfer: string;
  readonly volume: string;
  readonly session: string;
  readonly epoch: number;
  readonly wants: Mode | "verdict";
}

/**
 * The source speaks first; the answer must be about the same session. `behind` goes out with the hello, for a target that
 * takes it as it is.
 */
export async function greetTarget(
  channel: ControlChannel,
  greeting: Greeting,
  behind: readonly OutgoingMessage[],
  signal: AbortSignal,
): Promise<MessageOf<"hello">> {
  channel.post(helloMessage(greeting));
  for (const message of behind) channel.post(message);
  const hello = await receiveHello(channel, signal);
  checkSameVolume(greeting, hello);
  if (hello.session !== greeting.session) {
    throw mismatch(
      `The target answers for session ${hello.session}, and this is ${greeting.session}.`,
    );
  }
  return hello;
}

export async function receiveHello(
  channel: ControlChannel,
  signal: AbortSignal,
): Promise<MessageOf<"hello">> {
  return channel.receive(["hello"], {
    deadlineMs: LIMITS.helloTimeoutMs,
    signal,
    tooLate: () =>
      new PvferryError({
        code: 20,
        message: `No hello came from ${channel.peer} within ${LIMITS.helloTimeoutMs / 1_000} s.`,
        next: "Check that the address and port are those of a pvferry agent.",
      }),
  });
}

export function helloMessage(greeting: Greeting): OutgoingMessage {
  const { agent, transfer, volume, session, epoch, wants } = greeting;
  return {
    type: "hello",
    magic: "pvferry",
    versions: PROTOCOL_VERSIONS,
    features: [],
    transfer,
    volume,
    agent,
    session,
    epoch,
    wants,
  };
}

/** The certificates already vouch for the transfer; a difference here is a confused peer, and still gets a sentence. */
function checkSameVolume(ours: Greeting, theirs: MessageOf<"hello">): void {
  for (const what of ["transfer", "volume"] as const) {
    if (ours[what] !== theirs[what]) throw notServed(what, [ours[what]], theirs[what]);
  }
}

/** Named to a peer that asks for another one. */
const NAMED_MOST = 10;

/** For who asks for a transfer or a volume that is none of those that this side is for. */
export function notServed(
  what: "transfer" | "volume",
  served: readonly string[],
  asked: string,
): PvferryError {
  const named = served.slice(0, NAMED_MOST).map((name) => `"${escapeText(name)}"`);
  const more = served.length - named.length;
  const words = served.length === 1 ? what : `${what}s`;
  const others = more === 0 ? "" : ` and ${quantityText(more, "other")}`;
  return mismatch(
    `This side is for the ${words} ${named.join(", ")}${others} and the other for "${escapeText(asked)}".`,
  );
}

function mismatch(message: string): PvferryError {
  return new PvferryError({
    code: 23,
    message,
    next: "Start both sides with certificates of the same transfer, and with the same name in --volume.",
  });
}
