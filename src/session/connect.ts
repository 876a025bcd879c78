/** The source's way to its target: dial, TLS, hello; again and again until the target is there or time is up. */

import { isIP } from "node:net";

import { LIMITS } from "../config/limits.ts";
import { PvferryError, toPvferryError } from "../core/errors.ts";
import { clause } from "../core/sentences.ts";
import { durationText } from "../core/units.ts";
import { addressText } from "../net/dialer.ts";
import type { MessageOf } from "../wire/control-messages.ts";
import { backOffMs } from "./back-off.ts";
import { ControlChannel } from "./control-channel.ts";
import { isRefusal } from "./endings.ts";
import { greetTarget, type Greeting } from "./greeting.ts";
import type { SessionContext, SourceRun } from "./run-options.ts";
import { toTlsIdentity } from "./tls-identity.ts";
import { sleep } from "./waiting.ts";

export interface Reached {
  readonly channel: ControlChannel;
  readonly hello: MessageOf<"hello">;
}

export interface Attempts {
  /** Until then a network failure is followed by another attempt; anything else ends at once. */
  readonly timeoutMs: number;
  readonly onStep: (step: "connecting" | "greeting") => void;
}

const BACK_OFF = { firstMs: LIMITS.connectRetryFirstMs, longestMs: LIMITS.connectRetryLongestMs };

export async function reachTarget(
  context: SessionContext,
  run: SourceRun,
  greeting: Greeting,
  attempts: Attempts,
): Promise<Reached> {
  const deadline = performance.now() + attempts.timeoutMs;
  for (let failures = 1; ; failures += 1) {
    attempts.onStep("connecting");
    const remaining = deadline - performance.now();
    try {
      const channel = await openChannel(context, run, attemptMs(remaining));
      attempts.onStep("greeting");
      return await greet(channel, greeting, context.signal);
    } catch (error) {
      await pauseOrGiveUp(context, run, {
        error,
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
  signal: AbortSignal,
): Promise<Reached> {
  try {
    return { channel, hello: await greetTarget(channel, greeting, signal) };
  } catch (error) {
    await channel.closeWith(toPvferryError(error));
    throw error;
  }
}

async function openChannel(
  context: SessionContext,
  run: SourceRun,
  timeoutMs: number,
): Promise<ControlChannel> {
  const { addon, dialer, agent } = context.parts;
  const { host, port } = run;
  const stream = await dialer.dial({ host, port, timeoutMs, signal: context.signal });
  try {
    const options = { tls: toTlsIdentity(run.tls), serverName: serverNameFor(host), timeoutMs };
    const connecting = addon.connect(stream.fd, options);
    return new ControlChannel(await connecting, { role: "source", agent });
  } finally {
    stream.release();
  }
}

/** For routing only: an OpenShift Route wants it. An address is no server name. */
export function serverNameFor(host: string): string | null {
  return isIP(host) === 0 ? host : null;
}

interface Failure {
  readonly error: unknown;
  readonly failures: number;
  readonly deadline: number;
  readonly timeoutMs: number;
  readonly wants: Greeting["wants"];
}

/** A target that knows nothing of the session whose verdict is asked for will not come to know it. */
function isFinal(error: PvferryError, wants: Greeting["wants"]): boolean {
  return error.code !== 20 || (wants === "verdict" && isRefusal(error));
}

async function pauseOrGiveUp(
  context: SessionContext,
  run: SourceRun,
  failure: Failure,
): Promise<void> {
  context.signal.throwIfAborted();
  const error = toPvferryError(failure.error);
  if (isFinal(error, failure.wants)) throw error;
  const pause = backOffMs(BACK_OFF, failure.failures);
  if (performance.now() + pause >= failure.deadline) {
    throw notReached(run, failure.timeoutMs, error);
  }
  context.observe({
    type: "waiting",
    for: `the target at ${addressText(run.host, run.port)}: ${clause(error.message)}`,
  });
  await sleep(pause, context.signal);
}

function notReached(run: SourceRun, timeoutMs: number, last: PvferryError): PvferryError {
  const address = addressText(run.host, run.port);
  return new PvferryError({
    code: 20,
    message: `The target at ${address} was not reached within ${durationText(timeoutMs)}: ${last.message}`,
    next: last.next,
    cause: last,
  });
}
