/**
 * Whose certificate is shown at the end of a way. A look only: nothing is trusted, nothing about this side is shown, and
 * the connection is closed. What pvferry does trust, its native core decides.
 */

import { X509Certificate } from "node:crypto";
import { isIP } from "node:net";
import type { Duplex } from "node:stream";
import { connect, rootCertificates, type TLSSocket } from "node:tls";

import { toPvferryError } from "../core/errors.ts";
import { waitFor } from "../core/waiting.ts";

export interface SeenCertificate {
  /** One line each: "CN=target.example, O=Example". */
  readonly subject: string;
  readonly issuer: string;
  /** DNS names and addresses, in lower case; "*." begins a wildcard. */
  readonly names: readonly string[];
  /** The URIs of the leaf: pvferry's own certificates bear one. */
  readonly uris: readonly string[];
  readonly fingerprint: string;
  /** Issued by this transfer's CA. */
  readonly isOurs: boolean;
  /** Issued by one of the well-known CAs, or by a CA that is. */
  readonly isPublic: boolean;
}

export interface SecureOptions {
  readonly serverName: string | null;
  readonly timeoutMs: number;
  readonly signal: AbortSignal;
}

export interface LookOptions extends SecureOptions {
  /** PEM. */
  readonly ca: string;
}

/** An agent takes the first; a web server that insists on one of its own finds it here. */
const PROTOCOLS = ["pvferry-doctor/1", "h2", "http/1.1"];

/** Takes `stream`, a fresh connection, and closes it. null when no TLS handshake shows a certificate. */
export async function lookAtCertificate(
  stream: Duplex,
  options: LookOptions,
): Promise<SeenCertificate | null> {
  const socket = await untrusted(stream, PROTOCOLS, options);
  if (socket === null) return null;
  const certificate = certificateOf(socket, options.ca);
  socket.destroy();
  stream.destroy();
  return certificate;
}

/** TLS over `stream`, a fresh connection, with whoever answers there: to be looked at, not to be trusted. null when there is none. */
export async function untrusted(
  stream: Duplex,
  protocols: readonly string[],
  options: SecureOptions,
): Promise<TLSSocket | null> {
  const { serverName, timeoutMs: deadlineMs, signal } = options;
  const socket = connect({
    socket: stream,
    servername: serverName ?? "",
    ALPNProtocols: [...protocols],
    rejectUnauthorized: false,
    minVersion: "TLSv1",
  });
  stream.resume();
  const shown = Promise.withResolvers<void>();
  socket.once("secureConnect", () => shown.resolve());
  socket.on("error", (error) => shown.reject(error));
  socket.once("close", () => shown.reject(new Error("closed")));
  try {
    await waitFor(shown.promise, { deadlineMs, signal, tooLate: () => toPvferryError("late") });
    return socket;
  } catch {
    socket.destroy();
    stream.destroy();
    signal.throwIfAborted();
    return null;
  }
}

function certificateOf(socket: TLSSocket, ca: string): SeenCertificate | null {
  const leaf = socket.getPeerX509Certificate();
  if (leaf === undefined) return null;
  const names = namesOf(leaf.subjectAltName ?? "");
  return {
    subject: oneLine(leaf.subject),
    issuer: oneLine(leaf.issuer),
    names: names.hosts,
    uris: names.uris,
    fingerprint: leaf.fingerprint256,
    isOurs: isIssuedBy(leaf, ca),
    isPublic: socket.authorized || isChainPublic(leaf),
  };
}

function isIssuedBy(leaf: X509Certificate, ca: string): boolean {
  try {
    return leaf.verify(new X509Certificate(ca).publicKey);
  } catch {
    return false;
  }
}

/** The names may be wrong for the host and the chain still a well-known one. */
function isChainPublic(leaf: X509Certificate): boolean {
  let top = leaf;
  for (let depth = 0; top.issuerCertificate !== undefined && depth < 8; depth += 1) {
    if (top.issuerCertificate.fingerprint256 === top.fingerprint256) break;
    top = top.issuerCertificate;
  }
  return rootCertificates.some((root) => isIssuedBy(top, root));
}

/** node:crypto prints them as "DNS:a.example, IP Address:10.0.0.1, URI:pvferry://...". */
function namesOf(subjectAltName: string): { hosts: readonly string[]; uris: readonly string[] } {
  const entries = subjectAltName.split(", ");
  const after = (prefix: string): string[] =>
    entries.flatMap((one) => (one.startsWith(prefix) ? [one.slice(prefix.length)] : []));
  const hosts = [...after("DNS:"), ...after("IP Address:")].map((name) => name.toLowerCase());
  return { hosts: hosts.map(canonical), uris: after("URI:") };
}

/** IPv6 addresses have many forms; certificates are printed in the longest. */
export function canonical(host: string): string {
  if (isIP(host) !== 6) return host;
  return URL.parse(`http://[${host}]/`)?.hostname.slice(1, -1) ?? host;
}

function oneLine(name: string): string {
  return name.split("\n").join(", ");
}
