/**
 * How a control channel can end, in words: one function per ending, each a sentence with what, where and what to do
 * next. What the peer wrote is escaped before it becomes part of one.
 */

import { PvferryError } from "../core/errors.ts";
import { isExitCode, type ExitCode } from "../core/exit-codes.ts";
import { harmlessText } from "../core/names.ts";
import { redacted } from "../core/secrets.ts";
import { capitalized } from "../core/sentences.ts";
import {
  CONTROL_MESSAGES,
  type ControlMessageType,
  type ControlStage,
  type MessageOf,
  type OutgoingMessage,
} from "../wire/control-messages.ts";

const RUN_AGAIN = "Run the same command again on both sides.";
const SAME_RELEASE = "Check that both sides are pvferry agents of the same release.";

export function silent(peer: string): PvferryError {
  return networkError(
    `Nothing was heard from ${peer} for too long; the connection is taken for dead.`,
  );
}

export function notReading(peer: string): PvferryError {
  return networkError(`The connection to ${peer} is stuck: nothing that is sent arrives.`);
}

export function lost(peer: string, cause: PvferryError): PvferryError {
  return new PvferryError({
    code: cause.code,
    message: `The connection to ${peer} was lost: ${cause.message}`,
    next: cause.code === 20 ? RUN_AGAIN : cause.next,
    cause,
  });
}

export function closedThere(peer: string, atBoundary: boolean): PvferryError {
  const how = atBoundary ? "" : " in the middle of a message";
  return networkError(`The connection was closed by ${peer}${how}, without a word.`);
}

/** An end that comes later than this is silence. */
const AT_ONCE_MS = 5_000;

/**
 * What an end of the network's means that comes before the peer's first word, `afterMs` from the handshake. Whoever turns
 * a peer away says so; who ends TLS with the target's own key, and gets no further, does not.
 */
export function beforeFirstWord(peer: string, error: PvferryError, afterMs: number): PvferryError {
  if (error.code !== 20 || afterMs > AT_ONCE_MS) return error;
  return new PvferryError({
    code: 20,
    message: `TLS was agreed on with ${peer}, and then the connection was closed there without a word.`,
    next:
      "It may be about to end or to start: then the next attempt succeeds. When none does, and the target says that it turned " +
      "away as many connections, somebody in between has a copy of its key: stop, make a new PKI (pvferry pki init), and find out who.",
    cause: error,
  });
}

export function closedHere(peer: string): PvferryError {
  return networkError(`The connection to ${peer} is closed.`);
}

function networkError(message: string): PvferryError {
  return new PvferryError({ code: 20, message, next: RUN_AGAIN });
}

export function breach(peer: string, error: PvferryError): PvferryError {
  if (error.code !== 23) return error;
  return new PvferryError({
    code: 23,
    message: `${error.message} (It came from ${peer}.)`,
    next: error.next,
    cause: error,
  });
}

export function outOfOrder(
  peer: string,
  type: ControlMessageType,
  stage: ControlStage,
): PvferryError {
  return protocolError(
    `A "${type}" message came from ${peer} when the session stood at "${stage}".`,
  );
}

export function wrongNumber(number: number, expected: number): PvferryError {
  return protocolError(`A control message bears number ${number}; ${expected} was due.`);
}

export function wrongSender(type: ControlMessageType, sender: string): PvferryError {
  return protocolError(`The peer sent "${type}", which only the ${sender} may send.`);
}

export function repeated(type: ControlMessageType): PvferryError {
  return protocolError(`The peer sent "${type}" twice.`);
}

function protocolError(message: string): PvferryError {
  return new PvferryError({ code: 23, message, next: SAME_RELEASE });
}

/** A refusal comes before anything is copied and is about the pairing: both sides end with its code. */
export function refusedBy(peer: string, refusal: MessageOf<"refused">): PvferryError {
  return new PvferryError({
    code: refusalCode(refusal.code),
    message: `Refused by ${peer}: ${harmlessText(refusal.message)}`,
    next: harmlessText(refusal.next),
    cause: refusal,
  });
}

/** Whether the peer itself turned this side away, in words, rather than being out of reach. */
export function isRefusal({ cause }: PvferryError): boolean {
  return typeof cause === "object" && cause !== null && Reflect.get(cause, "type") === "refused";
}

const REFUSALS: ReadonlySet<number> = new Set([2, 20, 22, 23, 30, 31, 32, 33, 34]);

function refusalCode(code: number): ExitCode {
  return isExitCode(code) && REFUSALS.has(code) ? code : 24;
}

const INTERRUPTIONS: ReadonlySet<number> = new Set([130, 143]);

export function cancelledBy(peer: string, cancel: MessageOf<"cancel">): PvferryError {
  const how = INTERRUPTIONS.has(cancel.code) ? "was interrupted" : "gave up";
  return new PvferryError({
    // A connection that broke is nobody's decision: whichever side notices first, both end with 20.
    code: cancel.code === 20 ? 20 : 24,
    message: `${capitalized(peer)} ${how}: ${harmlessText(cancel.message)}`,
    next: INTERRUPTIONS.has(cancel.code)
      ? RUN_AGAIN
      : "Remedy what the other side names, then run both sides again.",
  });
}

/** What the peer is told when this side ends: a refusal as long as nothing was copied, a cancel afterwards. */
export function lastWord(stage: ControlStage, error: PvferryError): OutgoingMessage {
  const { code } = error;
  const message = redacted(error.message).slice(0, 2_000);
  const next = redacted(error.next);
  const refusing = CONTROL_MESSAGES.refused.during.some((early) => early === stage);
  if (refusing && (stage === "hello" || REFUSALS.has(code))) {
    return { type: "refused", code, message, next: next.slice(0, 2_000) };
  }
  return { type: "cancel", code, message };
}
