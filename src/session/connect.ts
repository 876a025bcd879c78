/** The source's way to its target: dial, TLS, hello; again and again until the target is there or time is up. */

import { CONNECT_BACK_OFF, LIMITS } from "../config/limits.ts";
import { backOffMs } from "../core/back-off.ts";
import { PvferryError, toPvferryError } from "../core/errors.ts";
import { capitalized, clause } from "../core/sentences.ts";
import { durationText } from "../core/units.ts";
import { sleep } from "../core/waiting.ts";
import type { Connection } from "../native/types.ts";
import type { MessageOf, OutgoingMessage } from "../wire/control-messages.ts";
import { ControlChannel } from "./control-channel.ts";
import type { EarlyConnections } from "./early-connections.ts";
import { isRefusal } from "./endings.ts";
import { greetTarget, type Greeting } from "./greeting.ts";
import type { SessionContext, SourceRun } from "./run-options.ts";
import { WayIn } from "./way-in.ts";

export interface Reached {
  readonly channel: ControlChannel;
  readonly hello: MessageOf<"hello">;
  /** Index and lanes to be. Whoever is handed them closes them. */
  readonly early: EarlyConnections;
}

export interface Attempts {
  /** Until then a failure that may pass is followed by another attempt; anything else ends at once. */
  readonly timeoutMs: number;
  /** The first attempt, when it is under way already. */
  readonly begun: WayIn | null;
  /** What goes out behind the hello, without waiting for the answer. */
  readonly behindHello: () => readonly OutgoingMessage[];
  readonly onStep: (step: "connecting" | "greeting") => void;
}

export async function reachTarget(
  context: SessionContext,
  run: SourceRun,
  greeting: Greeting,
  attempts: Attempts,
): Promise<Reached> {
  const deadline = performance.now() + attempts.timeoutMs;
  let earlier: PvferryError | null = null;
  for (let failures = 1; ; failures += 1) {
    attempts.onStep("connecting");
    const remaining = deadline - performance.now();
    // Whoever comes for a verdict needs no lanes, and whoever waits for its target is in no hurry.
    const isFirst = failures === 1;
    const attempt = { turn: failures - 1, hurries: isFirst && greeting.wants !== "verdict" };
    const limits = { timeoutMs: attemptMs(remaining), signal: context.signal };
    const begun = isFirst ? attempts.begun : null;
    const way = begun ?? new WayIn(context.parts.addon, run, attempt, limits);
    try {
      const channel = channelOver(await way.connection, context);
      attempts.onStep("greeting");
      const hello = await greet(channel, greeting, attempts.behindHello(), context.signal);
      return { channel, hello, early: way.early };
    } catch (error) {
      way.early.close();
      earlier = await pauseOrGiveUp(context, run, {
        error,
        earlier,
        failures,
        deadline,
        timeoutMs: attempts.timeoutMs,
        wants: greeting.wants,
      });
    }
  }
}

function attemptMs(remainingMs: number): number {
  return Math.max(1, Math.min(LIMITS.connectAttemptMs, Math.ceil(remainingMs)));
}

async function greet(
  channel: ControlChannel,
  greeting: Greeting,
  behindHello: readonly OutgoingMessage[],
  signal: AbortSignal,
): Promise<MessageOf<"hello">> {
  const askedAt = performance.now();
  try {
    const hello = await greetTarget(channel, greeting, behindHello, signal);
    channel.helloTookMs = performance.now() - askedAt;
    return hello;
  } catch (error) {
    await channel.closeWith(toPvferryError(error));
    throw error;
  }
}

function channelOver(connection: Connection, { parts }: SessionContext): ControlChannel {
  return new ControlChannel(connection, { role: "source", agent: parts.agent });
}

interface Failure {
  readonly error: unknown;
  /** Of the attempt before. */
  readonly earlier: PvferryError | null;
  readonly failures: number;
  readonly deadline: number;
  readonly timeoutMs: number;
  readonly wants: Greeting["wants"];
}

/** A target that knows nothing of the session whose verdict is asked for will not come to know it. */
function isFinal(error: PvferryError, wants: Greeting["wants"]): boolean {
  return !error.temporary || (wants === "verdict" && isRefusal(error));
}

/** Resolves with the error when it is time for the next attempt. */
async function pauseOrGiveUp(
  context: SessionContext,
  run: SourceRun,
  failure: Failure,
): Promise<PvferryError> {
  context.signal.throwIfAborted();
  const error = toPvferryError(failure.error);
  if (isFinal(error, failure.wants)) throw error;
  const pause = backOffMs(CONNECT_BACK_OFF, failure.failures);
  // An attempt that the deadline has cut short says nothing but that; the one before it knows more.
  if (performance.now() >= failure.deadline) {
    throw notReached(run, failure.timeoutMs, failure.earlier ?? error);
  }
  if (performance.now() + pause >= failure.deadline) {
    throw notReached(run, failure.timeoutMs, error);
  }
  context.observe({
    type: "waiting",
    for: `${run.path.target}: ${clause(error.message)}`,
  });
  await sleep(pause, context.signal);
  return error;
}

function notReached(run: SourceRun, timeoutMs: number, last: PvferryError): PvferryError {
  return new PvferryError({
    code: last.code,
    message: `${capitalized(run.path.target)} was not reached within ${durationText(timeoutMs)}: ${last.message}`,
    next: last.next,
    temporary: true,
    cause: last,
  });
}
