/** The direct way: TCP to the peer's own address. */

import { connect, type Socket } from "node:net";

import { LIMITS } from "../config/limits.ts";
import { dialError, timedOut } from "./dial-error.ts";
import { addressText, type DialedStream, type Dialer, type DialRequest } from "./dialer.ts";

export const directDialer: Dialer = { dial: dialDirectly };

async function dialDirectly(request: DialRequest): Promise<DialedStream> {
  request.signal.throwIfAborted();
  const socket = connect({
    host: request.host,
    port: request.port,
    noDelay: true,
    autoSelectFamily: true,
    autoSelectFamilyAttemptTimeout: Math.min(LIMITS.addressAttemptMs, request.timeoutMs),
  });
  // Paused before it connects, Node never reads from it: every byte is left for the duplicate's owner.
  socket.pause();
  try {
    await connected(socket, request);
    return dialedStream(socket, request);
  } catch (error) {
    socket.destroy();
    throw error;
  }
}

async function connected(socket: Socket, request: DialRequest): Promise<void> {
  const { promise, resolve, reject } = Promise.withResolvers<void>();
  const timer = setTimeout(() => reject(timedOut(request)), request.timeoutMs);
  const onAbort = (): void => reject(request.signal.reason);
  request.signal.addEventListener("abort", onAbort, { once: true });
  socket.once("connect", resolve);
  // Stays for good: an error after this promise is settled has nobody else to go to.
  socket.on("error", (error) => reject(dialError(error, request)));
  try {
    await promise;
  } finally {
    clearTimeout(timer);
    request.signal.removeEventListener("abort", onAbort);
  }
}

function dialedStream(socket: Socket, request: DialRequest): DialedStream {
  const fd = descriptorOf(socket);
  if (fd === null) {
    throw new TypeError(
      `the socket to ${addressText(request.host, request.port)} shows no descriptor`,
    );
  }
  return {
    fd,
    // destroy() closes without shutdown(2): no FIN is sent as long as a duplicate is open.
    release: () => void socket.destroy(),
  };
}

/** Node keeps the descriptor in the socket's handle, undocumented but stable since its first releases. */
function descriptorOf(socket: Socket): number | null {
  const handle: unknown = Reflect.get(socket, "_handle");
  if (typeof handle !== "object" || handle === null) return null;
  const fd: unknown = Reflect.get(handle, "fd");
  return typeof fd === "number" && fd >= 0 ? fd : null;
}
