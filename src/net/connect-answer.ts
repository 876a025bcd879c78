/** What a proxy's refusal of CONNECT means, and who can change it. */

import { once } from "node:events";
import type { IncomingMessage } from "node:http";
import type { Duplex } from "node:stream";

import type { PvferryError } from "../core/errors.ts";
import { harmlessText } from "../core/names.ts";
import { badCredentials, notConnected, proxyError, type Passage } from "./proxied.ts";

/** Of a page that explains the refusal, so much is looked at and so much quoted. */
const PAGE_BYTES = 16 * 1024;
const QUOTED_CHARACTERS = 160;
/** A page that has not come with the header may be a moment behind. */
const PAGE_WAIT_MS = 300;

/** `stream` holds what came after the header; it is of no further use. */
export async function connectRefused(
  passage: Passage,
  answer: IncomingMessage,
  stream: Duplex,
): Promise<PvferryError> {
  const { statusCode: status = 0 } = answer;
  if (status === 407 || status === 401) return notAuthenticated(passage, answer);
  const said = statusText(answer, await pageLine(stream));
  if (status === 403) return forbidden(passage, said);
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

function notDone(passage: Passage, said: string): PvferryError {
  return proxyError(passage, {
    how: `does not do what it was asked for, CONNECT to ${passage.address} (${said})`,
    next: "Check that this is the address of a forward proxy, and that it allows CONNECT.",
    temporary: false,
  });
}

/** Squid says in a header of its own what its page says only in a long text. */
function statusText(answer: IncomingMessage, page: string): string {
  const { statusCode, statusMessage = "", headers } = answer;
  const squid = headers["x-squid-error"];
  const parts = [
    `${statusCode} ${statusMessage}`.trim(),
    ...(typeof squid === "string" ? [squid] : []),
  ];
  const status = parts.map((part) => harmlessText(part).slice(0, QUOTED_CHARACTERS)).join(", ");
  return page === "" || page === status ? status : `${status}: "${page}"`;
}

/** The first line that a reader of the page would see. */
async function pageLine(stream: Duplex): Promise<string> {
  const page = await beginning(stream);
  const text = page
    .replaceAll(/<!--.*?-->|<(style|script)\b.*?<\/\1\s*>/gis, "")
    .replaceAll(/<[^>]*>?/g, "\n");
  const line = text.split(/[\r\n]+/).find((one) => one.trim() !== "") ?? "";
  return harmlessText(line.trim()).slice(0, QUOTED_CHARACTERS);
}

async function beginning(stream: Duplex): Promise<string> {
  if (stream.readableLength === 0) {
    // Reads on, and keeps what it has read.
    await once(stream, "readable", { signal: AbortSignal.timeout(PAGE_WAIT_MS) }).catch(() => []);
  }
  const bytes: unknown = stream.read();
  return bytes instanceof Uint8Array ? new TextDecoder().decode(bytes.subarray(0, PAGE_BYTES)) : "";
}
