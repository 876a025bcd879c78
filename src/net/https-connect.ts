/** Through an HTTP proxy that is itself spoken to over TLS: the same CONNECT, in a connection that Node encrypts. */

import { isIP } from "node:net";
import type { Duplex } from "node:stream";
import { connect, rootCertificates, type TLSSocket } from "node:tls";

import type { Proxy } from "../config/proxy.ts";
import type { PvferryError } from "../core/errors.ts";
import { harmlessText } from "../core/names.ts";
import type { Dialer } from "./dialer.ts";
import { connectThrough } from "./http-connect.ts";
import { brokenOff, proxied, proxyError, type Passage } from "./proxied.ts";

/** `ca` is trusted besides the well-known CAs; PEM. */
export function httpsConnectDialer(proxy: Proxy, through: Dialer, ca: string | null): Dialer {
  return proxied(proxy, through, async (stream, passage) => {
    const secured = await secure(stream, passage, ca);
    return connectThrough(secured, passage);
  });
}

async function secure(stream: Duplex, passage: Passage, ca: string | null): Promise<TLSSocket> {
  const { host } = passage.proxy;
  const { promise, resolve, reject } = Promise.withResolvers<void>();
  const socket = connect({
    socket: stream,
    host,
    servername: isIP(host) === 0 ? host : "",
    ...(ca === null ? {} : { ca: [...rootCertificates, ca] }),
    ALPNProtocols: ["http/1.1"],
  });
  socket.once("secureConnect", resolve);
  // Stays for good, as the one of the stream beneath does.
  socket.on("error", (error) => reject(failure(passage, error)));
  socket.once("close", () => reject(brokenOff(passage)));
  stream.resume();
  await promise;
  return socket;
}

function failure(passage: Passage, cause: Error): PvferryError {
  const code: unknown = Reflect.get(cause, "code");
  if (code === "ECONNRESET" || code === "EPIPE") return brokenOff(passage, cause);
  if (typeof code === "string" && /^ERR_SSL|^EPROTO/.test(code)) {
    return proxyError(passage, {
      how: `does not speak TLS as it should (${reasonOf(cause)})`,
      next: "Write http:// in place of https:// when the proxy itself is spoken to in the clear.",
      temporary: false,
      cause,
    });
  }
  return proxyError(passage, {
    how: `shows a certificate that is not trusted here (${cause.message})`,
    next: "Give the CA that has issued it with --via-ca, and the name in the certificate as the proxy's host.",
    temporary: false,
    cause,
  });
}

/** OpenSSL's own words, which its messages have among much else. */
function reasonOf(error: Error): string {
  const reason: unknown = Reflect.get(error, "reason");
  return harmlessText(typeof reason === "string" ? reason : error.message);
}
