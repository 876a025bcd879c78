/** What an HTTP server says of itself when it does not do what it was asked for: status, reason, the first line of its page. */

import { once } from "node:events";
import type { IncomingMessage } from "node:http";
import type { Readable } from "node:stream";

import { harmlessText } from "../core/names.ts";

/** Of a page, so much is looked at and so much quoted. */
const PAGE_BYTES = 16 * 1024;
const QUOTED_CHARACTERS = 160;
/** A page that has not come with the header may be a moment behind. */
const PAGE_WAIT_MS = 300;

/** Its beginning. `stream` has what comes after the header, and is of no further use. */
export async function pageOf(stream: Readable): Promise<string> {
  if (stream.readableLength === 0) {
    // Reads on, and keeps what it has read.
    await once(stream, "readable", { signal: AbortSignal.timeout(PAGE_WAIT_MS) }).catch(() => []);
  }
  const bytes: unknown = stream.read();
  return bytes instanceof Uint8Array ? new TextDecoder().decode(bytes.subarray(0, PAGE_BYTES)) : "";
}

/** One line. Squid says in a header of its own what its page says only in a long text. */
export function statusText(answer: IncomingMessage, page: string): string {
  const { statusCode, statusMessage = "", headers } = answer;
  const squid = headers["x-squid-error"];
  const parts = [
    `${statusCode} ${statusMessage}`.trim(),
    ...(typeof squid === "string" ? [squid] : []),
  ];
  const status = parts.map((part) => harmlessText(part).slice(0, QUOTED_CHARACTERS)).join(", ");
  const line = pageLine(page);
  return line === "" || line === status ? status : `${status}: "${line}"`;
}

/** The first line that a reader of the page would see; JSON is all one line. */
function pageLine(page: string): string {
  const text = page.trimStart().startsWith("{")
    ? page.replaceAll(/\s+/g, " ")
    : page
        .replaceAll(/<!--.*?-->|<(style|script)\b.*?<\/\1\s*>/gis, "")
        .replaceAll(/<[^>]*>?/g, "\n");
  const line = text.split(/[\r\n]+/).find((one) => one.trim() !== "") ?? "";
  return harmlessText(line.trim()).slice(0, QUOTED_CHARACTERS);
}

/** 426 is the status for it (RFC 9110, 15.5.22); Kubernetes says it in the page of a 400. */
export function passesOnlyUpgrades(answer: IncomingMessage, page: string): boolean {
  const { statusCode = 0, headers } = answer;
  if (statusCode === 426) return true;
  const isRefused = statusCode >= 400 && statusCode < 500;
  const offered = headers.upgrade ?? "";
  return (
    isRefused && (/websocket|spdy/i.test(offered) || /\bupgrade re(?:quest|quired)/i.test(page))
  );
}
