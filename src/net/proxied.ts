/** What the dialers through a proxy have in common: the way to the proxy itself, the time that is left, and its failures. */

import type { Duplex } from "node:stream";

import { proxyText, type Proxy } from "../config/proxy.ts";
import { hostPortText } from "../config/value-kinds.ts";
import { PvferryError, toPvferryError } from "../core/errors.ts";
import { harmlessText } from "../core/names.ts";
import { waitFor } from "../core/waiting.ts";
import type { Dialer, DialRequest } from "./dialer.ts";

/** One request on its way through one proxy. */
export interface Passage {
  readonly proxy: Proxy;
  /** The proxy as messages call it, without credentials. */
  readonly name: string;
  /** What it is asked to connect to. */
  readonly host: string;
  readonly port: number;
  readonly address: string;
  readonly timeoutMs: number;
}

/**
 * Speaks to a proxy over a connected stream, and resolves with what it was asked for. Whoever has called it destroys the connected stream when nobody waits any longer, which is the end of all that was begun over it.
 */
export type Pass<T> = (stream: Duplex, passage: Passage) => Promise<T>;

/** A dialer that reaches the proxy by `through` and then lets `speak` ask it; one deadline for both. */
export function proxied(proxy: Proxy, through: Dialer, speak: Pass<Duplex>): Dialer {
  return { dial: async (request) => pass(proxy, through, request, speak) };
}

/** The same for whatever a proxy may be asked for; `request` names the address that it is about. */
export async function pass<T>(
  proxy: Proxy,
  through: Dialer,
  request: DialRequest,
  speak: Pass<T>,
): Promise<T> {
  const { host, port, timeoutMs, signal } = request;
  const deadline = performance.now() + timeoutMs;
  const name = proxyText(proxy);
  const passage = { proxy, name, host, port, address: hostPortText({ host, port }), timeoutMs };
  const stream = await reachProxy(proxy, through, request);
  try {
    return await waitFor(speak(stream, passage), {
      deadlineMs: Math.max(1, Math.ceil(deadline - performance.now())),
      signal,
      tooLate: () => noAnswer(passage),
    });
  } catch (error) {
    stream.destroy();
    throw error;
  }
}

/** Over `through`, to the proxy itself; nothing is said to it yet. */
export async function reachProxy(
  proxy: Proxy,
  through: Dialer,
  request: Pick<DialRequest, "timeoutMs" | "signal">,
): Promise<Duplex> {
  const { host, port } = proxy;
  const { timeoutMs, signal } = request;
  try {
    return await through.dial({ host, port, timeoutMs, signal });
  } catch (thrown) {
    signal.throwIfAborted();
    const error = toPvferryError(thrown);
    if (error.code !== 20) throw error;
    throw proxyError(
      { name: proxyText(proxy) },
      {
        how: `cannot be reached: ${error.message}`,
        next: "Check the proxy's address, whether it runs, and whether this machine may reach it.",
        temporary: true,
        cause: error,
      },
    );
  }
}

interface ProxyFailure {
  /** Completes "The proxy http://proxy:3128 ...". */
  readonly how: string;
  readonly next: string;
  readonly temporary: boolean;
  readonly cause?: unknown;
}

export function proxyError({ name }: Pick<Passage, "name">, failure: ProxyFailure): PvferryError {
  const { how, next, temporary, cause } = failure;
  return new PvferryError({
    code: 21,
    message: `The proxy ${name} ${how}`,
    next,
    temporary,
    cause,
  });
}

/** It was reached, and then said nothing that ends the matter. */
function noAnswer(passage: Passage): PvferryError {
  return proxyError(passage, {
    how: `did not connect to ${passage.address} within ${passage.timeoutMs / 1_000} s`,
    next: "Check whether the proxy can resolve that name and reach that address, and whether it is a proxy of this kind.",
    temporary: true,
  });
}

/** `status` is the proxy's own word for it, where it has one. */
export function badCredentials(passage: Passage, status: string, cause?: unknown): PvferryError {
  const { user, scheme } = passage.proxy;
  return proxyError(passage, {
    how:
      user === null
        ? `wants a user and a password${status}`
        : `does not accept user ${harmlessText(user)} with that password${status}`,
    next:
      user === null
        ? `Give them in a file with --via-file, or in PVFERRY_VIA: ${scheme}://user:password@host:port.`
        : "Correct user and password; characters such as @ : / % may be percent-encoded.",
    temporary: false,
    cause,
  });
}

/** The proxy has tried, and may succeed when the target is there. `said` is its own word for what went wrong. */
export function notConnected(passage: Passage, said: string, cause?: unknown): PvferryError {
  return proxyError(passage, {
    how: `could not connect to ${passage.address} (${said})`,
    next: "Check that the target listens there, and that the proxy can resolve and reach it.",
    temporary: true,
    cause,
  });
}

/** The connection to the proxy ended before it had answered. */
export function brokenOff(passage: Passage, cause?: unknown): PvferryError {
  return proxyError(passage, {
    how: `closed the connection when it was asked for ${passage.address}`,
    next: "Look into the proxy's log; it may be restarting, or refuse this machine.",
    temporary: true,
    cause,
  });
}
