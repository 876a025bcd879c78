/** What all proxies of the bed have in common. */
import type { NetworkNamespace } from "../network-namespace.ts";
import type { Program } from "./program.ts";

export interface Credentials {
  readonly user: string;
  readonly password: string;
}

export interface ProxyOptions {
  /** It listens there on all addresses. */
  readonly namespace: NetworkNamespace;
  /** Default: the program's usual one. */
  readonly port?: number;
  /** Without them it serves everybody. */
  readonly credentials?: Credentials;
}

export interface Proxy extends Program {
  /** How many tunnels it has made; some count one only when it is over. */
  readonly tunnels: () => number;
}

export function countIn(log: string, line: RegExp): number {
  return [...log.matchAll(line)].length;
}
