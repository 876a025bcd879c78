/** What a proxy's refusal of CONNECT means, and who can change it. */

import type { IncomingMessage } from "node:http";
import type { Duplex } from "node:stream";

import type { PvferryError } from "../core/errors.ts";
import { harmlessText } from "../core/names.ts";
import { pageOf, passesOnlyUpgrades, statusText } from "./http-page.ts";
import { badCredentials, notConnected, proxyError, type Passage } from "./proxied.ts";

/** `stream` holds what came after the header; it is of no further use. */
export async function connectRefused(
  passage: Passage,
  answer: IncomingMessage,
  stream: Duplex,
): Promise<PvferryError> {
  const { statusCode: status = 0 } = answer;
  if (status === 407 || status === 401) return notAuthenticated(passage, answer);
  const page = await pageOf(stream);
  const said = statusText(answer, page);
  if (passesOnlyUpgrades(answer, page)) return noTunnels(passage, said);
  if (status === 403) return forbidden(passage, said);
  if (status === 405 || status === 501) return noProxy(passage, said);
  // Which of them it is, no two proxies agree on; all of them may be over when the target is there.
  if (status >= 500 || status === 404 || status === 429) return notConnected(passage, said);
  return notDone(passage, said);
}

export function notHttp(passage: Passage, cause: Error): PvferryError {
  const packet: unknown = Reflect.get(cause, "rawPacket");
  const isTls = packet instanceof Uint8Array && (packet[0] === 0x15 || packet[0] === 0x16);
  return proxyError(passage, {
    how: isTls
      ? "answers with TLS, not with HTTP"
      : `does not answer as an HTTP proxy does (${harmlessText(cause.message)})`,
    next: isTls
      ? `Write https:// in place of http:// when the proxy itself is spoken to over TLS.`
      : "Check the proxy's address and port, and whether it is an HTTP proxy at all.",
    temporary: false,
    cause,
  });
}

/** 407 is RFC 9110's word for it; tinyproxy answers wrong credentials with 401. */
function notAuthenticated(passage: Passage, answer: IncomingMessage): PvferryError {
  const schemes = offeredSchemes(answer);
  const status = `${answer.statusCode}`;
  if (schemes.length > 0 && !schemes.some((scheme) => scheme.toLowerCase() === "basic")) {
    return proxyError(passage, {
      how: `offers only ${schemes.join(", ")} authentication (${status}), which pvferry does not support`,
      next: "Ask whoever runs the proxy for basic authentication, or for an exception for this machine without any.",
      temporary: false,
    });
  }
  return badCredentials(passage, ` (${status})`);
}

/** The names of the schemes, in the order of the headers; whatever is no token is left out. */
function offeredSchemes({ headersDistinct }: IncomingMessage): readonly string[] {
  const offers = [
    ...(headersDistinct["proxy-authenticate"] ?? []),
    ...(headersDistinct["www-authenticate"] ?? []),
  ];
  const schemes = offers.flatMap((offer) => schemesOf(offer));
  return [...new Set(schemes)].slice(0, 8);
}

/** Challenges are separated by commas as their parameters are (RFC 9110, 11.6.1): a scheme is a word without "=". */
function schemesOf(offer: string): readonly string[] {
  const unquoted = offer.replaceAll(/"(?:[^"\\]|\\.)*"/g, '""');
  return unquoted.split(",").flatMap((part) => {
    const scheme = /^\s*([A-Za-z][\w-]*)(?=\s|$)(?!\s*=)/.exec(part)?.[1];
    return scheme === undefined ? [] : [scheme];
  });
}

function forbidden(passage: Passage, said: string): PvferryError {
  return proxyError(passage, {
    how: `does not allow connections to ${passage.address} (${said})`,
    next: `Ask whoever runs the proxy to allow CONNECT to ${passage.address}.`,
    temporary: false,
  });
}

/** Such as a Kubernetes API server, or what stands before a web application. */
function noTunnels(passage: Passage, said: string): PvferryError {
  return proxyError(passage, {
    how: `passes only HTTP connections that ask for an upgrade, to SPDY or WebSocket (${said})`,
    next:
      "That is a gateway for web traffic (an API server, an ingress, a load balancer), which makes no tunnels: " +
      "name a forward proxy that allows CONNECT, or a SOCKS5 proxy, or a bastion.",
    temporary: false,
  });
}

function noProxy(passage: Passage, said: string): PvferryError {
  return proxyError(passage, {
    how: `does not know CONNECT (${said})`,
    next: "That is a web server or a reverse proxy: check whether this is the address and port of a forward proxy.",
    temporary: false,
  });
}

function notDone(passage: Passage, said: string): PvferryError {
  return proxyError(passage, {
    how: `does not do what it was asked for, CONNECT to ${passage.address} (${said})`,
    next: "Check that this is the address of a forward proxy, and that it allows CONNECT.",
    temporary: false,
  });
}
