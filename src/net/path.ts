/** The whole way to a listener: its endpoint and the proxies before it. Each lane is dialled by it, and each try again. */

import type { Duplex } from "node:stream";

import { endpointText, serverNameOf, type Endpoint } from "../config/endpoint.ts";
import { proxyText, type Proxy } from "../config/proxy.ts";
import { hostPortText } from "../config/value-kinds.ts";
import { dialerThrough, type ProxyTrust } from "./chain.ts";
import type { DialedStream, Dialer, DialRequest } from "./dialer.ts";
import { directDialer } from "./direct.ts";
import { handOver, type SocketPair } from "./hand-over.ts";
import { reachProxy } from "./proxied.ts";

/** For the way to the listener as a whole, with all hosts and proxies. */
export type DialLimits = Pick<DialRequest, "timeoutMs" | "signal">;

/** A proxy on the way. */
export interface Hop {
  readonly name: string;
  readonly host: string;
  /** Reaches the proxy itself, through those before it, and asks it for nothing. */
  connect(limits: DialLimits): Promise<Duplex>;
}

export interface Path {
  /** One line: the endpoint and what stands before it. */
  readonly text: string;
  /** "the target at ..." or "a target that dials ...", for sentences. */
  readonly target: string;
  /** The other side dials. */
  readonly isIncoming: boolean;
  /** For SNI, which a router wants; never for trust. */
  readonly serverName: string | null;
  readonly endpoint: Endpoint;
  readonly proxies: readonly Proxy[];
  readonly hops: readonly Hop[];
  /**
   * `turn` spreads connections over the hosts of an endpoint: that many after the first is tried first. The others are
   * tried when it fails, in the time that is left. Rejects as a dialer does, with the last host's error.
   */
  dial(turn: number, limits: DialLimits): Promise<DialedStream>;
  /** The same, for whoever has other uses for the stream. */
  connect(turn: number, limits: DialLimits): Promise<Connected>;
  /** From what connect() gave to what dial() gives. */
  hand(connected: Connected): DialedStream;
  /** Only the endpoint's host with this number, and no other in its place. */
  connectTo(host: number, limits: DialLimits): Promise<Connected>;
}

export interface Connected {
  /** The endpoint's host that has answered. */
  readonly host: string;
  readonly stream: Duplex;
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
  const text = `${endpointText(endpoint)} ${through}`;
  return {
    text,
    target: `the target at ${text}`,
    proxies,
    hops: proxies.map((proxy, at) => hopTo(proxy, dialerThrough(proxies.slice(0, at), trust))),
    ...wayTo(endpoint, dialerThrough(proxies, trust), pair, (address) => `${address} ${through}`),
  };
}

/** What the other end is called then, the kernel knows. */
export function directPath(endpoint: Endpoint, pair: SocketPair): Path {
  const text = endpointText(endpoint);
  const target = `the target at ${text}`;
  return {
    text,
    target,
    proxies: [],
    hops: [],
    ...wayTo(endpoint, directDialer, pair, () => null),
  };
}

function hopTo(proxy: Proxy, through: Dialer): Hop {
  return {
    name: proxyText(proxy),
    host: proxy.host,
    connect: async (limits) => reachProxy(proxy, through, limits),
  };
}

function wayTo(
  endpoint: Endpoint,
  dialer: Dialer,
  pair: SocketPair,
  peerName: (address: string) => string | null,
): Omit<Path, "text" | "target" | "proxies" | "hops"> {
  const connect = async (turn: number, limits: DialLimits): Promise<Connected> =>
    dialInTurn(dialer, endpoint, turn, limits);
  const hand = ({ host, stream }: Connected): DialedStream =>
    handOver(stream, peerName(hostPortText({ host, port: endpoint.port })), pair);
  return {
    endpoint,
    isIncoming: false,
    serverName: serverNameOf(endpoint),
    connect,
    hand,
    connectTo: async (number, limits) => {
      const host = endpoint.hosts[number % endpoint.hosts.length] ?? endpoint.hosts[0];
      return { host, stream: await dialer.dial({ host, port: endpoint.port, ...limits }) };
    },
    dial: async (turn, limits) => hand(await connect(turn, limits)),
  };
}

async function dialInTurn(
  dialer: Dialer,
  { hosts, port }: Endpoint,
  turn: number,
  { timeoutMs, signal }: DialLimits,
): Promise<Connected> {
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
