/** Through an HTTP proxy: CONNECT (RFC 9110, 9.3.6) with basic authentication (RFC 7617). Node's own client speaks HTTP. */

import { Buffer } from "node:buffer";
import { request as httpRequest, type ClientRequest, type IncomingMessage } from "node:http";
import type { Duplex } from "node:stream";

import type { Proxy } from "../config/proxy.ts";
import type { PvferryError } from "../core/errors.ts";
import { connectRefused, notHttp } from "./connect-answer.ts";
import type { Dialer } from "./dialer.ts";
import { brokenOff, proxied, type Passage } from "./proxied.ts";

export function httpConnectDialer(proxy: Proxy, through: Dialer): Dialer {
  return proxied(proxy, through, connectThrough);
}

/** A proxy's answer may bring headers of its own, but not without end. */
const HEADER_BYTES = 64 * 1024;

export async function connectThrough(stream: Duplex, passage: Passage): Promise<Duplex> {
  const { promise, resolve, reject } = Promise.withResolvers<Duplex>();
  const request = askFor(stream, passage);
  // Every answer to a CONNECT ends here, whatever its status: Node leaves what follows the header to us.
  request.once("connect", (answer: IncomingMessage, socket: Duplex, head: Buffer) => {
    socket.pause();
    if (head.length > 0) socket.unshift(head);
    if (isSuccess(answer)) return resolve(socket);
    void connectRefused(passage, answer, socket).then(reject, reject);
  });
  request.once("error", (error) => reject(failure(passage, error)));
  return promise;
}

function askFor(stream: Duplex, passage: Passage): ClientRequest {
  const { proxy, address } = passage;
  const request = httpRequest({
    method: "CONNECT",
    path: address,
    createConnection: () => stream,
    headers: { host: address, connection: "keep-alive", ...authorization(proxy) },
    maxHeaderSize: HEADER_BYTES,
    // Proxies are old and odd; what they say of themselves decides nothing but whether the tunnel is there.
    insecureHTTPParser: true,
  });
  // Node waits for the answer only once it may read; the proxy says nothing before it is asked.
  request.once("socket", (socket) => socket.resume());
  request.end();
  return request;
}

function authorization({ user, password }: Proxy): Record<string, string> {
  if (user === null) return {};
  const pair = Buffer.from(`${user}:${password ?? ""}`, "utf8").toString("base64");
  return { "proxy-authorization": `Basic ${pair}` };
}

function isSuccess({ statusCode = 0 }: IncomingMessage): boolean {
  return statusCode >= 200 && statusCode < 300;
}

function failure(passage: Passage, error: Error): PvferryError {
  const code: unknown = Reflect.get(error, "code");
  const isSyntax = typeof code === "string" && code.startsWith("HPE_");
  return isSyntax ? notHttp(passage, error) : brokenOff(passage, error);
}
