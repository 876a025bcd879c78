/**
 * Where a listener can be reached: the grammar of --to. The kinds are those of Kubernetes and OpenShift; what they change
 * is what is tried and what is said when it fails. Pure.
 */

import { hostPortText, parseHostPort, type ValueKind } from "./value-kinds.ts";

/**
 * route: an OpenShift Route with TLS passthrough, found by its router through SNI. nodeport: a Service's port on every one
 * of these nodes. clusterip: a Service's own address. tcp: any address.
 */
export type EndpointKind = "route" | "nodeport" | "clusterip" | "tcp";

export interface Endpoint {
  readonly kind: EndpointKind;
  /** Names or addresses, IPv6 without brackets: one, or the nodes of a NodePort. */
  readonly hosts: readonly [string, ...string[]];
  readonly port: number;
}

const ROUTE_PORT = 443;

/** Nodes of one endpoint; each is tried in turn, so that more would only make the waiting longer. */
const HOSTS_MOST = 64;

export const ENDPOINT: ValueKind<Endpoint> = {
  expects:
    "HOST:PORT, tcp:HOST:PORT, route:HOST[:PORT], nodeport:HOST[,HOST...]:PORT or clusterip:HOST:PORT " +
    "(an IPv6 address goes in brackets, a route is a name)",
  example: "route:pvferry.apps.example",
  parse: parseEndpoint,
};

/** One line, as it is typed. */
export function endpointText({ kind, hosts, port }: Endpoint): string {
  const last = hostPortText({ host: hosts.at(-1) ?? "", port });
  const text = [...hosts.slice(0, -1).map(bracketed), last].join(",");
  return kind === "tcp" ? text : `${kind}:${text}`;
}

/** For the way, never for trust (RFC 6066, 3: names only). null: an address, which a router cannot look for. */
export function serverNameOf({ hosts: [host] }: Endpoint): string | null {
  return isAddress(host) ? null : host;
}

function parseEndpoint(text: string): Endpoint | undefined {
  const plain = parseHostPort(text);
  if (plain !== undefined) return single("tcp", plain.host, plain.port);
  const [, kind, rest = ""] = /^(tcp|clusterip|route|nodeport):(.+)$/.exec(text) ?? [];
  if (kind === "route") return parseRoute(rest);
  if (kind === "nodeport") return parseNodePort(rest);
  const address = parseHostPort(rest);
  return address && single(kind === "clusterip" ? kind : "tcp", address.host, address.port);
}

function single(kind: EndpointKind, host: string, port: number): Endpoint {
  return { kind, hosts: [host], port };
}

/** A router finds its backend by the name in SNI, so that an address cannot be a route. */
function parseRoute(text: string): Endpoint | undefined {
  const address = parseHostPort(text.includes(":") ? text : `${text}:${ROUTE_PORT}`);
  if (address === undefined || isAddress(address.host)) return undefined;
  return single("route", address.host, address.port);
}

function parseNodePort(text: string): Endpoint | undefined {
  const parts = text.split(",");
  const last = parseHostPort(parts.at(-1) ?? "");
  if (last === undefined || parts.length > HOSTS_MOST) return undefined;
  const before = parts.slice(0, -1).map((host) => parseHostPort(`${host}:${last.port}`)?.host);
  const hosts = [...before, last.host].filter((host) => host !== undefined);
  const [first, ...others] = hosts;
  if (first === undefined || hosts.length !== parts.length) return undefined;
  return { kind: "nodeport", hosts: [first, ...others], port: last.port };
}

function isAddress(host: string): boolean {
  return host.includes(":") || /^[\d.]+$/.test(host);
}

function bracketed(host: string): string {
  return host.includes(":") ? `[${host}]` : host;
}
