/** Who it is that answers in the target's place, from the certificate that was shown, in words. Pure. */

import type { Endpoint } from "../../config/endpoint.ts";
import { proxyText, type Proxy } from "../../config/proxy.ts";
import { hostPortText } from "../../config/value-kinds.ts";
import { PvferryError } from "../../core/errors.ts";
import { harmlessText } from "../../core/names.ts";
import type { HttpAnswer } from "../../net/http-look.ts";
import { canonical, type SeenCertificate } from "../../net/tls-look.ts";

const PASSES_ONLY_UPGRADES =
  "passes only HTTP connections that ask for an upgrade, to SPDY or WebSocket";
const WAY_AROUND =
  "An agent speaks TLS, and no HTTP that could be upgraded. Give the target a way of its own past that server: a Route with " +
  "termination passthrough, a NodePort, a load balancer for TCP, or a proxy or bastion (--via).";

export interface Answerer {
  readonly endpoint: Endpoint;
  /** The one of the endpoint's hosts that was dialled. */
  readonly host: string;
  readonly proxies: readonly Proxy[];
  readonly certificate: SeenCertificate;
  /** What another server says to a browser, where it has been asked. */
  readonly web?: HttpAnswer | null;
}

/** null when it is the transfer's own certificate: then somebody else knows better what is wrong. */
export function explainCertificate(answerer: Answerer): PvferryError | null {
  const { certificate, endpoint, web } = answerer;
  if (certificate.isOurs) return null;
  if (isAgents(certificate)) {
    return isImitation(certificate) ? manInTheMiddle(answerer) : otherTransfer(answerer);
  }
  if (isRoutersDefault(answerer)) return routersDefault(answerer);
  if (endpoint.kind === "route") return endsTls(answerer);
  if (isKubernetesApi(certificate)) return kubernetesApi(answerer);
  if (web?.passesOnlyUpgrades === true) return wall(answerer, web.said);
  const isPrivate = isForHost(answerer) && !certificate.isPublic;
  return isPrivate ? manInTheMiddle(answerer) : anotherServer(answerer);
}

/** What it says to a browser may tell more than its certificate does. */
export function mayBeWebServer({ certificate, endpoint }: Answerer): boolean {
  return !certificate.isOurs && !isAgents(certificate) && endpoint.kind !== "route";
}

function isAgents({ uris }: SeenCertificate): boolean {
  return uris.some((uri) => uri.startsWith("pvferry://"));
}

function isForHost({ host, certificate }: Answerer): boolean {
  return certificate.names.includes(canonical(host.toLowerCase()));
}

/** Its certificate has the name by which pods know it, besides those of the host. */
function isKubernetesApi({ names }: SeenCertificate): boolean {
  return names.includes("kubernetes.default.svc");
}

/** OpenShift's own default certificate, and what routers show for a name that they do not know. */
function isRoutersDefault(answerer: Answerer): boolean {
  if (/\bCN=ingress-operator@/.test(answerer.certificate.issuer)) return true;
  return answerer.endpoint.kind === "route" && !isForHost(answerer);
}

/** Who inspects TLS shows what the target has shown, URI included, under a CA of his own. */
function isImitation({ issuer }: SeenCertificate): boolean {
  return !/\bCN=pvferry CA$/.test(issuer);
}

function routersDefault(answerer: Answerer): PvferryError {
  return new PvferryError({
    code: 22,
    message: `${whoAnswers(answerer)}, which is a router's default: it knows no route with TLS termination passthrough for the name ${answerer.host}`,
    next: `Whoever manages the target's namespace can tell: the Route's host has to be ${answerer.host}, its TLS termination passthrough, and the router has to have admitted it (oc get route).`,
    // A router takes a moment to learn of a new route.
    temporary: answerer.endpoint.kind === "route",
  });
}

function endsTls(answerer: Answerer): PvferryError {
  return new PvferryError({
    code: 22,
    message: `${whoAnswers(answerer)}: TLS ends before the target, at the router (termination edge or reencrypt) or at somebody in between who inspects it`,
    next:
      "Set the Route's TLS termination to passthrough, which whoever manages the target's namespace can do; if it is, " +
      "somebody on the way inspects TLS and has to let this name through untouched.",
  });
}

function manInTheMiddle(answerer: Answerer): PvferryError {
  return new PvferryError({
    code: 22,
    message: `${whoAnswers(answerer)}: somebody on the way inspects TLS (a man in the middle)${suspect(answerer)}`,
    next:
      `Whoever runs it has to let connections to ${address(answerer)} through untouched. In squid: an acl for that ` +
      "address (dst or ssl::server_name) and `ssl_bump splice` for it, before the rule that bumps; in mitmproxy: --ignore-hosts.",
  });
}

function anotherServer(answerer: Answerer): PvferryError {
  return new PvferryError({
    code: 22,
    message: `${whoAnswers(answerer)}: that is another TLS server, not an agent of this transfer`,
    next: "Check address and port: they have to be those of the target, not of a web server or load balancer before it.",
  });
}

function wall(answerer: Answerer, said: string): PvferryError {
  return new PvferryError({
    code: 22,
    message: `${whoAnswers(answerer)}: that is a web server which ${PASSES_ONLY_UPGRADES} (${said})`,
    next: WAY_AROUND,
  });
}

function kubernetesApi(answerer: Answerer): PvferryError {
  return new PvferryError({
    code: 22,
    message: `${whoAnswers(answerer)}: that is a Kubernetes API server, which lets nobody through to a pod but by an upgrade of HTTP (to SPDY or WebSocket, as kubectl port-forward asks for)`,
    next: WAY_AROUND,
  });
}

/** Who answers in plain HTTP, which he shows when he is asked for a page. */
export function upgradesOnly(where: string, said: string, cause: PvferryError): PvferryError {
  return new PvferryError({
    code: 23,
    message: `A web server (plain HTTP) answers at ${where}, which ${PASSES_ONLY_UPGRADES} (${said})`,
    next: WAY_AROUND,
    cause,
  });
}

function otherTransfer(answerer: Answerer): PvferryError {
  const uri = answerer.certificate.uris.find((one) => one.startsWith("pvferry://")) ?? "";
  return new PvferryError({
    code: 22,
    message: `The pvferry agent at ${address(answerer)} belongs to another transfer, or to an older PKI of this one (${harmlessText(uri)}, issued by another CA)`,
    next: "Give both sides the folders of one and the same `pvferry pki init`.",
  });
}

/** The last one is the nearest to the target, but any of them may do it. */
function suspect({ proxies }: Answerer): string {
  if (proxies.length === 0) return "";
  return `, most likely ${proxies.map(proxyText).join(" or ")}`;
}

function whoAnswers({ certificate, ...answerer }: Answerer): string {
  const { subject, issuer, names } = certificate;
  const shown = names.length > 0 ? names.slice(0, 3).join(", ") : subject;
  return `${address(answerer)} answers with a certificate for ${harmlessText(shown)}, issued by ${harmlessText(issuer)}`;
}

function address({ endpoint, host }: Pick<Answerer, "endpoint" | "host">): string {
  return hostPortText({ host, port: endpoint.port });
}
