/** Why a peer could not be reached, one clear sentence for each reason. */

import { hostPortText } from "../config/value-kinds.ts";
import { PvferryError } from "../core/errors.ts";
import type { DialRequest } from "./dialer.ts";

/** What of a request its failure is about. */
type Dialled = Omit<DialRequest, "signal">;

interface Reason {
  readonly text: (address: string, host: string) => string;
  readonly next: string;
}

const REASONS: ReadonlyMap<string, Reason> = new Map([
  [
    "ECONNREFUSED",
    {
      text: (address) => `Nothing listens at ${address} (connection refused).`,
      next: "Start the target there, or correct the address.",
    },
  ],
  [
    "ENOTFOUND",
    {
      text: (_address, host) => `The name ${host} does not resolve.`,
      next: "Correct the name, or make it known to this machine's resolver.",
    },
  ],
  [
    "EAI_AGAIN",
    {
      text: (_address, host) =>
        `The name ${host} could not be looked up now: the resolver does not answer.`,
      next: "Check this machine's name resolution.",
    },
  ],
  [
    "EHOSTUNREACH",
    {
      text: (address) => `There is no way to the host of ${address} (host unreachable).`,
      next: "Check the address, the routes and the firewalls in between.",
    },
  ],
  [
    "ENETUNREACH",
    {
      text: (address) => `There is no way to the network of ${address} (network unreachable).`,
      next: "Check the address and this machine's routes.",
    },
  ],
  [
    "ECONNRESET",
    {
      text: (address) => `The connection to ${address} was reset while it was made.`,
      next: "Check what stands between the two sides: a firewall or load balancer may refuse them.",
    },
  ],
  [
    "EACCES",
    {
      text: (address) => `This machine does not allow connections to ${address}.`,
      next: "Check its firewall and network policies.",
    },
  ],
]);

export function dialError(error: Error, request: Dialled): PvferryError {
  const address = hostPortText(request);
  const code = errnoOf(error);
  if (code === "ETIMEDOUT") return timedOut(request, error);
  const reason = REASONS.get(code);
  return new PvferryError({
    code: 20,
    message:
      reason?.text(address, request.host) ??
      `No connection to ${address} (${code || error.message}).`,
    next: reason?.next ?? "Check the address and the network between the two sides.",
    cause: error,
  });
}

export function timedOut(request: Dialled, cause?: unknown): PvferryError {
  const address = hostPortText(request);
  return new PvferryError({
    code: 20,
    message: `No answer from ${address} within ${request.timeoutMs / 1_000} s.`,
    next: "Check the address, and whether a firewall drops packets to it.",
    cause,
  });
}

/** Of several addresses that all failed, the last one's reason: the first were only attempts. */
function errnoOf(error: Error): string {
  if (error instanceof AggregateError) {
    const last: unknown = error.errors.at(-1);
    if (last instanceof Error) return errnoOf(last);
  }
  const code: unknown = Reflect.get(error, "code");
  return typeof code === "string" ? code : "";
}
