/**
 * A listener on a bastion, for a side that can be reached by nobody: the bastion's SSH server listens, and hands each
 * connection on over the SSH connection that this side has dialled (RFC 4254, 7.1, tcpip-forward). When that is lost it is
 * dialled again, for as long as the forward is open.
 */

import type { Duplex } from "node:stream";

import type { Client } from "ssh2";

import { CONNECT_BACK_OFF, LIMITS } from "../config/limits.ts";
import { proxyText, type Proxy } from "../config/proxy.ts";
import { hostPortText, type HostPort } from "../config/value-kinds.ts";
import { backOffMs } from "../core/back-off.ts";
import { toPvferryError, type PvferryError } from "../core/errors.ts";
import { clause } from "../core/sentences.ts";
import { sleep } from "../core/waiting.ts";
import type { Dialer } from "./dialer.ts";
import { pass, proxyError, type Passage } from "./proxied.ts";
import { logIn, type SshTrust } from "./ssh.ts";

export interface ForwardCalls {
  /** A paused stream that somebody has connected, and what messages call its other end. */
  readonly connection: (stream: Duplex, peerName: string) => void;
  /** The bastion listens. */
  readonly listening: (text: string) => void;
  /** What is waited for, and why. */
  readonly waiting: (what: string) => void;
  /** No other attempt will end better; they go on all the same. */
  readonly fail: (error: PvferryError) => void;
}

export interface RemoteForward {
  /** "0.0.0.0:6443 on ssh://bastion:22". */
  readonly text: string;
  open(calls: ForwardCalls): { close(): void };
}

export interface ForwardParts {
  readonly bastion: Proxy;
  /** Where the bastion is to listen. */
  readonly address: HostPort;
  /** The way to the bastion. */
  readonly through: Dialer;
  readonly trust: SshTrust;
}

/** A bastion that listens, and what has come in there and is still open. */
interface Forwarded {
  readonly client: Client;
  readonly channels: ReadonlySet<Duplex>;
}

export function remoteForward(parts: ForwardParts): RemoteForward {
  const text = `${hostPortText(parts.address)} on ${proxyText(parts.bastion)}`;
  return {
    text,
    open: (calls) => {
      const closed = new AbortController();
      void keepOpen(parts, text, calls, closed.signal);
      return { close: () => closed.abort(new Error("the forward is closed")) };
    },
  };
}

async function keepOpen(
  parts: ForwardParts,
  text: string,
  calls: ForwardCalls,
  signal: AbortSignal,
): Promise<void> {
  for (let failures = 1; !signal.aborted; failures += 1) {
    try {
      const forwarded = await forward(parts, calls, signal);
      calls.listening(text);
      const since = performance.now();
      await untilGone(forwarded, signal);
      // A bastion that lets in and throws out again is not asked faster than one that does neither.
      if (performance.now() - since > CONNECT_BACK_OFF.longestMs) failures = 0;
    } catch (thrown) {
      if (signal.aborted) return;
      const error = toPvferryError(thrown);
      if (error.temporary) calls.waiting(`${text}: ${clause(error.message)}`);
      else calls.fail(error);
    }
    await sleep(backOffMs(CONNECT_BACK_OFF, failures), signal).catch(() => undefined);
  }
}

async function forward(
  { bastion, address, through, trust }: ForwardParts,
  calls: ForwardCalls,
  signal: AbortSignal,
): Promise<Forwarded> {
  const request = { ...address, timeoutMs: LIMITS.connectAttemptMs, signal };
  return pass(bastion, through, request, async (stream, passage) => {
    const client = await logIn(stream, passage, trust);
    const channels = new Set<Duplex>();
    client.on("tcp connection", (from, accept) => {
      const channel = accept();
      channels.add(channel);
      channel.once("close", () => channels.delete(channel));
      channel.on("error", () => undefined);
      channel.pause();
      const peer = hostPortText({ host: from.srcIP, port: from.srcPort });
      calls.connection(channel, `${peer} through ${passage.name}`);
    });
    await ask(client, passage);
    return { client, channels };
  });
}

async function ask(client: Client, passage: Passage): Promise<void> {
  const { promise, resolve, reject } = Promise.withResolvers<void>();
  client.forwardIn(passage.host, passage.port, (error) => {
    if (error === undefined) resolve();
    else reject(notListening(passage, error));
  });
  await promise;
}

/** When the forward is closed, last words that are on their way through the channels still get their time. */
async function untilGone({ client, channels }: Forwarded, signal: AbortSignal): Promise<void> {
  const { promise, resolve } = Promise.withResolvers<void>();
  client.once("close", resolve);
  const end = (): void => {
    setTimeout(() => client.end(), channels.size === 0 ? 0 : 2 * LIMITS.lastWordMs);
  };
  if (signal.aborted) end();
  signal.addEventListener("abort", end, { once: true });
  await promise;
  signal.removeEventListener("abort", end);
}

/** The server gives no reason: its configuration and a port in use look the same. */
function notListening(passage: Passage, cause: Error): PvferryError {
  return proxyError(passage, {
    how: `does not listen on ${passage.address} for us`,
    next:
      "Check on the bastion that the port is free, that AllowTcpForwarding allows it (yes or remote), and for addresses " +
      "other than its own loopback that GatewayPorts is clientspecified.",
    // An earlier connection of ours may still hold the port until the bastion notices that it is dead.
    temporary: true,
    cause,
  });
}
