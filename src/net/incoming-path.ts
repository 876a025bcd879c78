/**
 * The path of a source whose target dials: connections come in, wait, and are used as if this side had dialled them. Anybody
 * may connect; who it is, the TLS handshake tells, and a stranger costs one attempt.
 */

import { once } from "node:events";
import { createServer, type Server } from "node:net";
import type { Duplex } from "node:stream";

import { LIMITS } from "../config/limits.ts";
import { hostPortText, type HostPort } from "../config/value-kinds.ts";
import { PvferryError } from "../core/errors.ts";
import { errnoOf, fileError } from "../core/system-errors.ts";
import { durationText } from "../core/units.ts";
import { waitFor } from "../core/waiting.ts";
import type { DialedStream } from "./dialer.ts";
import { handOver, type SocketPair } from "./hand-over.ts";
import type { Connected, DialLimits, Path } from "./path.ts";
import type { ForwardCalls, RemoteForward } from "./remote-forward.ts";

export interface IncomingPath extends Path, Disposable {}

/** Somebody who has connected. */
interface Caller {
  readonly stream: Duplex;
  /** null: the address that the kernel knows. */
  readonly peerName: string | null;
}

/** Rejects with a PvferryError (33 when the port is in use) when it cannot listen there. */
export async function listenForTarget(address: HostPort, pair: SocketPair): Promise<IncomingPath> {
  const callers = new Callers();
  // Paused from the start: what a caller says is left to whoever takes the descriptor.
  const server = createServer({ pauseOnConnect: true, noDelay: true }, (socket) => {
    socket.setKeepAlive(true, LIMITS.keepAliveMs);
    socket.on("error", () => undefined);
    callers.add({ stream: socket, peerName: null });
  });
  const port = await listening(server, address);
  const text = hostPortText({ ...address, port });
  return incomingPath({ host: address.host, port, text, callers, pair }, () => server.close());
}

/** The same on a bastion. */
export function forwardToSource(
  forward: RemoteForward,
  pair: SocketPair,
  calls: Omit<ForwardCalls, "connection">,
): IncomingPath {
  const callers = new Callers();
  const connection = (stream: Duplex, peerName: string): void => callers.add({ stream, peerName });
  const opened = forward.open({ ...calls, connection });
  const { text } = forward;
  return incomingPath({ host: text, port: 0, text, callers, pair }, () => opened.close());
}

interface Incoming {
  readonly host: string;
  readonly port: number;
  readonly text: string;
  readonly callers: Callers;
  readonly pair: SocketPair;
}

function incomingPath(
  { host, port, text, callers, pair }: Incoming,
  end: () => void,
): IncomingPath {
  return {
    ...wayIn(callers, text, pair),
    text,
    target: `a target that dials ${text}`,
    isIncoming: true,
    serverName: null,
    endpoint: { kind: "tcp", hosts: [host], port },
    proxies: [],
    hops: [],
    [Symbol.dispose]: () => {
      callers.close();
      end();
    },
  };
}

/** Whatever is asked for, the next caller is what there is. */
function wayIn(
  callers: Callers,
  where: string,
  pair: SocketPair,
): Pick<Path, "hand" | "connect" | "connectTo" | "dial"> {
  const connect = async (_: number, limits: DialLimits): Promise<Connected> => {
    const { stream, peerName } = await callers.next(where, limits);
    return { host: peerName ?? "", stream };
  };
  const hand = ({ host, stream }: Connected): DialedStream =>
    handOver(stream, host === "" ? null : host, pair);
  return {
    hand,
    connect,
    connectTo: connect,
    dial: async (turn, limits) => hand(await connect(turn, limits)),
  };
}

async function listening(server: Server, { host, port }: HostPort): Promise<number> {
  server.listen({ host, port });
  try {
    await once(server, "listening");
  } catch (cause) {
    throw notListening({ host, port }, cause);
  }
  // Later errors are of single connections, which end by themselves.
  server.on("error", () => undefined);
  const bound = server.address();
  return typeof bound === "object" && bound !== null ? bound.port : port;
}

function notListening(address: HostPort, cause: unknown): PvferryError {
  const where = hostPortText(address);
  if (errnoOf(cause) !== "EADDRINUSE") return fileError("listen on", where, cause);
  return new PvferryError({
    code: 33,
    message: `The port of ${where} is in use.`,
    next: "End the program that listens there, or choose another port with --listen.",
    cause,
  });
}

/** Those who have connected and are not in use; of too many, the oldest has to go. */
class Callers {
  readonly #waiting: Caller[] = [];
  #wanted: PromiseWithResolvers<void> | null = null;

  add(caller: Caller): void {
    caller.stream.once("close", () => this.#forget(caller));
    this.#waiting.push(caller);
    if (this.#waiting.length > LIMITS.maxUnauthenticated) this.#waiting.shift()?.stream.destroy();
    this.#wanted?.resolve();
  }

  async next(where: string, { timeoutMs, signal }: DialLimits): Promise<Caller> {
    const deadline = performance.now() + timeoutMs;
    for (;;) {
      signal.throwIfAborted();
      const caller = this.#waiting.shift();
      if (caller !== undefined) return caller;
      this.#wanted ??= Promise.withResolvers<void>();
      await waitFor(this.#wanted.promise, {
        deadlineMs: Math.max(1, deadline - performance.now()),
        signal,
        tooLate: () => nobodyCame(where, timeoutMs),
      });
      this.#wanted = null;
    }
  }

  close(): void {
    for (const { stream } of this.#waiting.splice(0)) stream.destroy();
  }

  #forget(caller: Caller): void {
    const at = this.#waiting.indexOf(caller);
    if (at !== -1) this.#waiting.splice(at, 1);
  }
}

function nobodyCame(where: string, timeoutMs: number): PvferryError {
  return new PvferryError({
    code: 20,
    message: `Nobody has connected to ${where} within ${durationText(timeoutMs)}.`,
    next: "Start the target with --to and this side's address, and check what stands between the two sides.",
  });
}
