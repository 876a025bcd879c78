/** The direct way: TCP to the peer's own address. */

import { connect, type Socket } from "node:net";

import { LIMITS } from "../config/limits.ts";
import { waitFor } from "../core/waiting.ts";
import { dialError, timedOut } from "./dial-error.ts";
import type { Dialer, DialRequest } from "./dialer.ts";

export const directDialer: Dialer = { dial: dialDirectly };

/** A name's addresses are tried in turn (RFC 8305), each looked up anew: a pod may come back with another one. */
async function dialDirectly(request: DialRequest): Promise<Socket> {
  const { host, port, timeoutMs, signal } = request;
  signal.throwIfAborted();
  const socket = connect({
    host,
    port,
    noDelay: true,
    autoSelectFamily: true,
    autoSelectFamilyAttemptTimeout: Math.min(LIMITS.addressAttemptMs, timeoutMs),
  });
  // Paused before it connects, Node never reads from it: every byte is left for whoever takes it over.
  socket.pause();
  const { promise, resolve, reject } = Promise.withResolvers<void>();
  socket.once("connect", resolve);
  // Stays for good: an error after this promise is settled has nobody else to go to.
  socket.on("error", (error) => reject(dialError(error, request)));
  try {
    await waitFor(promise, { deadlineMs: timeoutMs, signal, tooLate: () => timedOut(request) });
    return socket;
  } catch (error) {
    socket.destroy();
    throw error;
  }
}
