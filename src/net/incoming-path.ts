/**
 * The path of a source whose target dials: connections come in, wait, and are used as if this side had dialled them. Anybody
 * may connect; who it is, the TLS handshake tells, and a stranger costs one attempt. A target waits until it is spoken to, so
 * that whoever speaks first is somebody else, such as a doctor.
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

/** Takes over a stream of which something has been read already. */
export type TakeSpeaker = (stream: Duplex, peerName: string) => void;

export interface IncomingPath extends Path, Disposable {
  /** Who speaks first is handed on from now on; until then they are turned away. */
  onSpeaker(take: TakeSpeaker): void;
}

/** Somebody who has connected. */
interface Caller {
  readonly stream: Duplex;
  /** null: the address that the kernel knows. */
  readonly peerName: string | null;
  /** What they are called when there is no kernel to ask. */
  readonly address: string;
}

/** Rejects with a PvferryError (33 when the port is in use) when it cannot listen there. */
export async function listenForTarget(address: HostPort, pair: SocketPair): Promise<IncomingPath> {
  const callers = new Callers();
  // Paused from the start: what a caller says is left to whoever takes the descriptor.
  const server = createServer({ pauseOnConnect: true, noDelay: true }, (socket) => {
    socket.setKeepAlive(true, LIMITS.keepAliveMs);
    socket.on("error", () => undefined);
    const { remoteAddress: host = "", remotePort = 0 } = socket;
    callers.add({
      stream: socket,
      peerName: null,
      address: hostPortText({ host, port: remotePort }),
    });
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
  const connection = (stream: Duplex, peerName: string): void =>
    callers.add({ stream, peerName, address: peerName });
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
    onSpeaker: (take) => callers.onSpeaker(take),
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

/** A single one that has just come may be about to speak; a target comes with several connections. */
const QUIET_MS = 1_000;

interface Waiting extends Caller {
  /** Has said nothing for so long that nothing will come. */
  isQuiet: boolean;
  /** Stops listening to them. */
  readonly leave: () => void;
}

/** Those who have connected and are not in use; of too many, the oldest has to go. */
class Callers {
  readonly #waiting: Waiting[] = [];
  #wanted: PromiseWithResolvers<void> | null = null;
  #takeSpeaker: TakeSpeaker = (stream) => void stream.destroy();

  onSpeaker(take: TakeSpeaker): void {
    this.#takeSpeaker = take;
  }

  add(caller: Caller): void {
    const { stream } = caller;
    const hear = (): void => this.#hear(waiting);
    const quiet = setTimeout(() => {
      waiting.isQuiet = true;
      this.#wake();
    }, QUIET_MS);
    const leave = (): void => {
      clearTimeout(quiet);
      stream.removeListener("readable", hear);
      const at = this.#waiting.indexOf(waiting);
      if (at !== -1) this.#waiting.splice(at, 1);
    };
    const waiting: Waiting = { ...caller, isQuiet: false, leave };
    stream.once("close", leave);
    stream.on("readable", hear);
    this.#waiting.push(waiting);
    if (this.#waiting.length > LIMITS.maxUnauthenticated) this.#turnOut(this.#waiting[0]);
    this.#wake();
  }

  async next(where: string, { timeoutMs, signal }: DialLimits): Promise<Caller> {
    const deadline = performance.now() + timeoutMs;
    for (;;) {
      signal.throwIfAborted();
      const caller = this.#quiet();
      caller?.leave();
      if (caller !== undefined) return caller;
      this.#wanted ??= Promise.withResolvers<void>();
      await waitFor(this.#wanted.promise, {
        deadlineMs: Math.max(1, deadline - performance.now()),
        signal,
        tooLate: () => nobodyCame(where, timeoutMs),
      });
    }
  }

  close(): void {
    for (const { stream } of this.#waiting) stream.destroy();
  }

  /** Several may wait, and each looks again. */
  #wake(): void {
    this.#wanted?.resolve();
    this.#wanted = null;
  }

  #turnOut(caller: Waiting | undefined): void {
    caller?.leave();
    caller?.stream.destroy();
  }

  /** The first, unless they may yet speak. */
  #quiet(): Waiting | undefined {
    const [first, ...others] = this.#waiting;
    return first?.isQuiet === true || others.length > 0 ? first : undefined;
  }

  /** Something has been read from them, or their end. */
  #hear({ stream, address, leave }: Waiting): void {
    leave();
    if (stream.readableLength === 0) stream.destroy();
    else this.#takeSpeaker(stream, address);
  }
}

function nobodyCame(where: string, timeoutMs: number): PvferryError {
  return new PvferryError({
    code: 20,
    message: `Nobody has connected to ${where} within ${durationText(timeoutMs)}.`,
    next: "Start the target with --to and this side's address, and check what stands between the two sides.",
  });
}
