/** The two agents of a transfer in two clusters, which reach each other only as far as what is in between allows. */
import type { NetworkNamespace } from "../bed/network-namespace.ts";
import { startPvferry, type Agent } from "./run-pvferry.ts";

export const AGENT_PORT = 6443;

interface AgentOptions {
  readonly cluster: NetworkNamespace;
  readonly volume: string;
  readonly pki: string;
  readonly flags?: readonly string[];
  readonly environment?: { readonly [name: string]: string };
}

/** Listens on all addresses of its cluster. */
export function targetApart(options: AgentOptions): Agent {
  return startApart("target", options, ["--listen", String(AGENT_PORT)]);
}

/** Waits for half a minute for a target that is not there yet. */
export function sourceApart(options: AgentOptions): Agent {
  return startApart("source", options, ["--connect-timeout", "30s"]);
}

export function startApart(
  side: "source" | "target",
  options: AgentOptions,
  defaults: readonly string[],
): Agent {
  const { cluster, volume, pki, flags = [], environment = {} } = options;
  const line = [side, volume, "--tls", `${pki}/${side}`, "--json", ...defaults, ...flags];
  return startPvferry(line, { wrapper: cluster.wrapper, environment });
}
