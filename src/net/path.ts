/** The whole way to a listener: its endpoint and the proxies before it. Each lane is dialled by it, and each try again. */

import type { Duplex } from "node:stream";

import { endpointText, serverNameOf, type Endpoint } from "../config/endpoint.ts";
import { proxyText, type Proxy } from "../config/proxy.ts";
import { dialerThrough, type ProxyTrust } from "./chain.ts";
import { addressText, type DialedStream, type Dialer, type DialRequest } from "./dialer.ts";
import { directDialer } from "./direct.ts";
import { handOver, type SocketPair } from "./hand-over.ts";

/** For the way to the listener as a whole, with all hosts and proxies. */
export type DialLimits = Pick<DialRequest, "timeoutMs" | "signal">;

export interface Path {
  /** One line: the endpoint and what stands before it. */
  readonly text: string;
  /** For SNI, which a router wants; never for trust. */
  readonly serverName: string | null;
  /**
   * `turn` spreads connections over the hosts of an endpoint: that many after the first is tried first. The others are
   * tried when it fails, in the time that is left. Rejects as a dialer does, with the last host's error.
   */
  dial(turn: number, limits: DialLimits): Promise<DialedStream>;
}

export interface PathParts {
  readonly endpoint: Endpoint;
  /** From near to far. */
  readonly proxies: readonly Proxy[];
  readonly trust: ProxyTrust;
  readonly pair: SocketPair;
}

export function pathTo({ endpoint, proxies, trust, pair }: PathParts): Path {
  if (proxies.length === 0) return directPath(endpoint, pair);
  const through = `through ${proxies.map(proxyText).join(", then ")}`;
  return {
    text: `${endpointText(endpoint)} ${through}`,
    ...wayTo(endpoint, dialerThrough(proxies, trust), pair, (address) => `${address} ${through}`),
  };
}

/** What the other end is called then, the kernel knows. */
export function directPath(endpoint: Endpoint, pair: SocketPair): Path {
  return { text: endpointText(endpoint), ...wayTo(endpoint, directDialer, pair, () => null) };
}

function wayTo(
  endpoint: Endpoint,
  dialer: Dialer,
  pair: SocketPair,
  peerName: (address: string) => string | null,
): Omit<Path, "text"> {
  return {
    serverName: serverNameOf(endpoint),
    dial: async (turn, limits) => {
      const { host, stream } = await dialInTurn(dialer, endpoint, turn, limits);
      return handOver(stream, peerName(addressText(host, endpoint.port)), pair);
    },
  };
}

interface Dialled {
  readonly host: string;
  readonly stream: Duplex;
}

async function dialInTurn(
  dialer: Dialer,
  { hosts, port }: Endpoint,
  turn: number,
  { timeoutMs, signal }: DialLimits,
): Promise<Dialled> {
  const deadline = performance.now() + timeoutMs;
  for (let attempt = 0; ; attempt += 1) {
    const host = hosts[(turn + attempt) % hosts.length] ?? hosts[0];
    const left = hosts.length - attempt;
    // Of a node that drops packets, the others still get their share of the time.
    const shareMs = Math.max(1, Math.ceil((deadline - performance.now()) / left));
    try {
      return { host, stream: await dialer.dial({ host, port, timeoutMs: shareMs, signal }) };
    } catch (error) {
      if (left === 1 || signal.aborted) throw error;
    }
  }
}
