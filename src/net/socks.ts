/**
 * Through a SOCKS5 proxy (RFC 1928, RFC 1929). socks-proxy-agent reads the URL, socks speaks the protocol over whatever
 * stream leads to the proxy. socks5 looks names up on this side, socks5h leaves that to the proxy.
 */

import type { Buffer } from "node:buffer";
import { lookup } from "node:dns/promises";
import type { Duplex } from "node:stream";
import { setImmediate as nextTurn } from "node:timers/promises";

import { SocksClient } from "socks";
import { SocksProxyAgent } from "socks-proxy-agent";

import type { Proxy } from "../config/proxy.ts";
import { hostPortText } from "../config/value-kinds.ts";
import { toError, type PvferryError } from "../core/errors.ts";
import { dialError } from "./dial-error.ts";
import type { Dialer } from "./dialer.ts";
import {
  badCredentials,
  brokenOff,
  notConnected,
  proxied,
  proxyError,
  type Passage,
} from "./proxied.ts";

export function socksDialer(proxy: Proxy, through: Dialer): Dialer {
  return proxied(proxy, through, socksThrough);
}

async function socksThrough(stream: Duplex, passage: Passage): Promise<Duplex> {
  const agent = new SocksProxyAgent(proxyUrl(passage.proxy));
  const host = agent.shouldLookup ? await addressOf(passage) : passage.host;
  const asking = SocksClient.createConnection({
    command: "connect",
    proxy: agent.proxy,
    destination: { host, port: passage.port },
    existing_socket: stream,
    // Whoever waits for this has a deadline of its own, which comes first.
    timeout: passage.timeoutMs + 1_000,
  });
  stream.resume();
  try {
    await asking;
  } catch (thrown) {
    throw failure(passage, toError(thrown));
  }
  return quiet(stream);
}

/** The library sets the stream flowing again a turn later, and gives back what it has read too much then. */
async function quiet(stream: Duplex): Promise<Duplex> {
  const early: Buffer[] = [];
  const keep = (chunk: Buffer): void => void early.push(chunk);
  stream.on("data", keep);
  await nextTurn();
  await nextTurn();
  stream.pause();
  stream.off("data", keep);
  for (const chunk of early.toReversed()) stream.unshift(chunk);
  return stream;
}

function proxyUrl({ scheme, host, port, user, password }: Proxy): string {
  const userinfo =
    user === null ? "" : `${encodeURIComponent(user)}:${encodeURIComponent(password ?? "")}@`;
  return `${scheme}://${userinfo}${hostPortText({ host, port })}`;
}

async function addressOf({ host, port, timeoutMs }: Passage): Promise<string> {
  try {
    return (await lookup(host)).address;
  } catch (thrown) {
    throw dialError(toError(thrown), { host, port, timeoutMs });
  }
}

/** The library says what happened only in words; RFC 1928's reply (section 6) is the last of them. */
function failure(passage: Passage, error: Error): PvferryError {
  const { message } = error;
  if (/Authentication failed|no accepted authentication type/.test(message)) {
    return badCredentials(passage, "", error);
  }
  const reply = /rejected connection - (\w+)/.exec(message)?.[1];
  if (reply === undefined) {
    return message === "Socket closed" ? brokenOff(passage, error) : notSocks(passage, error);
  }
  return rejected(passage, reply, error);
}

function rejected(passage: Passage, reply: string, cause: Error): PvferryError {
  if (reply === "NotAllowed") {
    return proxyError(passage, {
      how: `does not allow connections to ${passage.address}`,
      next: `Ask whoever runs the proxy to allow ${passage.address}.`,
      temporary: false,
      cause,
    });
  }
  const words = reply === "Failure" ? "general failure" : spaced(reply);
  return notConnected(passage, words, cause);
}

/** "HostUnreachable" is "host unreachable". */
function spaced(name: string): string {
  return name.replaceAll(/(?<=[a-z])(?=[A-Z])/g, " ").toLowerCase();
}

function notSocks(passage: Passage, cause: Error): PvferryError {
  return proxyError(passage, {
    how: `does not answer as a SOCKS5 proxy does (${cause.message})`,
    next: "Check the proxy's address and port, and whether it is a SOCKS5 proxy at all.",
    temporary: false,
    cause,
  });
}
